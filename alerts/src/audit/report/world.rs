//! The shapes of countries; see `data/world/LICENCE.md` for whose they are.

/// Width and height of the grid.
pub(super) const SIZE: (i32, i32) = (2000, 806);

/// Code and SVG path of each country.
pub(super) fn countries() -> impl Iterator<Item = (&'static str, &'static str)> {
    include_str!("../../../data/world/countries.txt").lines().filter_map(|line| line.split_once(' '))
}

/// The rings of a path, as points.
pub(super) fn rings(path: &str) -> Vec<Vec<(i32, i32)>> {
    path.split('M').filter(|part| !part.is_empty()).map(ring).collect()
}

fn ring(part: &str) -> Vec<(i32, i32)> {
    let mut numbers: Vec<i32> = Vec::new();
    let mut digits = String::new();
    for letter in part.chars() {
        if !letter.is_ascii_digit() && !digits.is_empty() {
            numbers.push(digits.parse().unwrap_or_default());
            digits.clear();
        }
        if letter == '-' || letter.is_ascii_digit() {
            digits.push(letter);
        }
    }
    let mut at = (0, 0);
    let steps = numbers.chunks_exact(2).map(|pair| {
        at = (at.0 + pair[0], at.1 + pair[1]);
        at
    });
    steps.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_country_has_rings_on_the_grid() {
        let mut count = 0;
        for (code, path) in countries() {
            count += 1;
            assert!(code.len() == 2 && code.bytes().all(|byte| byte.is_ascii_uppercase()), "{code}");
            let rings = rings(path);
            assert!(!rings.is_empty() && rings.iter().all(|ring| ring.len() >= 3), "{code}");
            let inside = |(x, y): &(i32, i32)| (-1..=SIZE.0 + 1).contains(x) && (-1..=SIZE.1 + 1).contains(y);
            assert!(rings.iter().flatten().all(inside), "{code}");
        }
        assert!(count > 230, "{count} countries");
        for code in ["IR", "KP", "CU", "SY", "RU", "BY", "UA", "VE", "MM", "SG", "MT"] {
            assert!(countries().any(|(known, _)| known == code), "{code}");
        }
    }
}
