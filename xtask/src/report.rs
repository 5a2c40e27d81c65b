//! The stage `report`: an audit report in a browser without a screen. Only when it is asked for: it needs Chromium, a big program.
//!
//! Invariant: what is looked at is the report as it is, with a script of the test behind it; the report itself has none.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};

use crate::project::{Project, find_program, is_root, run};

/// Looks at the page and says of each thing whether it is right, one a line.
const SCRIPT: &str = r"<script>
const all = (what) => [...document.querySelectorAll(what)];
const size = (e) => { const b = e.getBoundingClientRect(); return b.width * b.height; };
const fill = (what) => getComputedStyle(document.querySelector(what)).fill;
getSelection().selectAllChildren(document.querySelector('main'));
const text = getSelection().toString();
const checks = {
  'the map is drawn': all('.map path').length > 200 && size(document.querySelector('#map-IR')) > 50,
  'a country with refusals has another colour': fill('#map-IR') !== fill('#map-FR'),
  'a listed country is outlined': getComputedStyle(document.querySelector('#map-SY')).strokeWidth === '3px',
  'the timeline is drawn': new Set(all('[class^=s-]').map((e) => getComputedStyle(e).fill)).size === 5
      && all('svg [class^=s-]').every((e) => size(e) > 0),
  'charts say what they are': all('svg').every((e) => e.getAttribute('role') === 'img' && e.querySelector('title')),
  'tables have captions and headings': all('table').every((e) => e.caption && e.querySelector('th[scope=col]')),
  'text can be selected': text.length > 10000 && text.includes('enforcing fully for 95.25 %') && text.includes('LIC-1'),
  'nothing is wider than the page': document.documentElement.scrollWidth <= innerWidth,
  'nothing came from elsewhere': performance.getEntriesByType('resource').length === 0,
};
const pre = document.createElement('pre');
pre.textContent = Object.entries(checks).map(([what, right]) => (right ? 'CHECK ok ' : 'CHECK FAILED ') + what).join('\n');
pre.textContent += '\nBACKGROUND ' + getComputedStyle(document.body).backgroundColor;
document.body.append(pre);
</script>";

/// What the browser finds, as passed and failed checks.
pub(crate) fn check(project: &Project) -> Result<(u64, u64)> {
    let Some(browser) = find_program("chromium") else {
        bail!(
            "there is no chromium; install it (Debian: apt-get install --no-install-recommends chromium) and try again"
        );
    };
    let directory = project.target.join("report");
    if directory.exists() {
        fs::remove_dir_all(&directory).with_context(|| format!("clearing {}", directory.display()))?;
    }
    fs::create_dir_all(&directory).with_context(|| format!("making {}", directory.display()))?;
    let mut example = project.cargo();
    run(example.args(["run", "--quiet", "--package", "alerts", "--example", "audit_month", "--"]).arg(&directory))?;
    let browser = Browser { program: browser, directory };
    let mut results = browser.page()?;
    results.push(("no errors on the console".to_owned(), browser.quiet()?));
    results.push(("printing gives pages".to_owned(), browser.print()? > 10));
    results.push(("there is a dark form".to_owned(), browser.is_dark()?));
    for (what, right) in &results {
        println!("{} {what}", if *right { "ok    " } else { "FAILED" });
    }
    let failed = results.iter().filter(|(_, right)| !right).count() as u64;
    Ok((results.len() as u64 - failed, failed))
}

struct Browser {
    program: PathBuf,
    directory: PathBuf,
}

impl Browser {
    fn command(&self, page: &Path) -> Command {
        let mut command = Command::new(&self.program);
        command.args([
            "--headless",
            "--disable-gpu",
            "--hide-scrollbars",
            "--window-size=1250,1000",
            "--enable-logging=stderr",
        ]);
        command.arg(format!("--user-data-dir={}", self.directory.join("profile").display()));
        if is_root() {
            // Its sandbox refuses to run as root; the page is ours.
            command.arg("--no-sandbox");
        }
        // The page comes last.
        command.arg(format!("file://{}", page.display()));
        command
    }

    fn report(&self) -> PathBuf {
        self.directory.join("report.html")
    }

    /// The page with the script behind it.
    fn with_script(&self) -> Result<PathBuf> {
        let path = self.directory.join("checked.html");
        let html = fs::read_to_string(self.report()).context("the example wrote no report.html")?;
        // The policy of the page would keep the script out.
        let html = html.replace("http-equiv=\"Content-Security-Policy\"", "name=\"was-policy\"");
        fs::write(&path, html.replace("</body>", &format!("{SCRIPT}</body>")))?;
        Ok(path)
    }

    fn dom(&self, more: &[&str]) -> Result<String> {
        let output =
            self.command(&self.with_script()?).args(more).arg("--dump-dom").output().context("starting chromium")?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    fn page(&self) -> Result<Vec<(String, bool)>> {
        let dom = self.dom(&[])?;
        let lines = dom.lines().filter_map(|line| line.split_once("CHECK ").map(|(_, check)| check));
        let of = |line: &str| match line.strip_prefix("ok ") {
            Some(what) => (what.to_owned(), true),
            None => (line.trim_start_matches("FAILED ").to_owned(), false),
        };
        // The script's own text has the words too, but not at the beginning of what it prints.
        let results: Vec<(String, bool)> = lines.filter(|line| !line.contains('\'')).map(of).collect();
        if results.is_empty() {
            bail!("the browser said nothing of the page; look at {}", self.directory.join("checked.html").display());
        }
        Ok(results)
    }

    /// Whether the browser has nothing to complain of in the report as it is; a picture of it.
    fn quiet(&self) -> Result<bool> {
        let picture = format!("--screenshot={}", self.directory.join("report.png").display());
        let output = self.command(&self.report()).arg(picture).output().context("starting chromium")?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let complaints: Vec<&str> = said.lines().filter(|line| line.contains("CONSOLE")).collect();
        complaints.iter().for_each(|line| println!("{line}"));
        Ok(complaints.is_empty())
    }

    /// Pages of the printed report.
    fn print(&self) -> Result<usize> {
        let path = self.directory.join("report.pdf");
        let printed = format!("--print-to-pdf={}", path.display());
        self.command(&self.report())
            .args(["--no-pdf-header-footer", &printed])
            .output()
            .context("starting chromium")?;
        let bytes = fs::read(&path).context("the browser printed nothing")?;
        let text = String::from_utf8_lossy(&bytes);
        Ok(text.matches("/Type /Page\n").count())
    }

    fn is_dark(&self) -> Result<bool> {
        let background = |dom: &str| dom.lines().find_map(|line| Some(line.strip_prefix("BACKGROUND ")?.to_owned()));
        let light = background(&self.dom(&["--blink-settings=preferredColorScheme=1"])?);
        let dark = background(&self.dom(&["--blink-settings=preferredColorScheme=0"])?);
        Ok(light.is_some() && dark.is_some() && light != dark)
    }
}
