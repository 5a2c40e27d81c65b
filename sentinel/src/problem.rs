//! Errors as text for people: every cause once.

/// The error and its causes on one line; a cause that an outer message quotes already is not said again.
#[must_use]
pub fn text(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if text.is_empty() {
            text = cause;
        } else if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use anyhow::Context as _;

    #[test]
    fn a_cause_is_said_once() {
        let inner = anyhow::anyhow!("no such file");
        let quoted = Err::<(), _>(inner).context("cannot read x: no such file").unwrap_err();
        assert_eq!(super::text(&quoted), "cannot read x: no such file");
        let plain = Err::<(), _>(quoted).context("cannot start").unwrap_err();
        assert_eq!(super::text(&plain), "cannot start: cannot read x: no such file");
    }
}
