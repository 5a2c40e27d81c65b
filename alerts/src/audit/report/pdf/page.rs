//! Pages of a PDF: a pen that goes down the page and begins the next one where nothing fits any more.

use std::fmt::Write as _;

/// Page size, A4 landscape, in points.
pub(super) const PAGE: (f64, f64) = (842.0, 595.0);
/// Left edge of what is written.
pub(super) const LEFT: f64 = 40.0;
/// Width of what is written.
pub(super) const WIDTH: f64 = PAGE.0 - 2.0 * LEFT;
const TOP: f64 = PAGE.1 - 46.0;
const BOTTOM: f64 = 46.0;
/// Names of the fonts in the file.
pub(super) const PLAIN: &str = "F1";
pub(super) const BOLD: &str = "F2";

/// Red, green, blue.
pub(super) type Color = (f64, f64, f64);

/// Widths of Helvetica's letters from the space to the tilde, in thousandths of the size.
const WIDTHS: [u16; 95] = [
    278, 278, 355, 556, 556, 889, 667, 191, 333, 333, 389, 584, 278, 333, 278, 278, 556, 556, 556, 556, 556, 556, 556,
    556, 556, 556, 278, 278, 584, 584, 584, 556, 1015, 667, 667, 722, 722, 667, 611, 778, 722, 278, 500, 667, 556, 833,
    722, 778, 667, 778, 722, 667, 611, 722, 667, 944, 667, 667, 611, 278, 278, 278, 469, 556, 333, 556, 556, 500, 556,
    556, 278, 556, 556, 222, 222, 500, 222, 833, 556, 556, 556, 556, 333, 500, 278, 556, 500, 722, 500, 500, 500, 334,
    260, 334, 584,
];

/// Pages that are being written.
pub(super) struct Layout {
    title: String,
    pages: Vec<String>,
    pen: f64,
}

impl Layout {
    pub(super) fn new(title: &str) -> Self {
        Self { title: title.to_owned(), pages: vec![String::new()], pen: TOP }
    }

    pub(super) fn new_page(&mut self) {
        // A page on which nothing stands is as good.
        if self.pen < TOP {
            self.pages.push(String::new());
            self.pen = TOP;
        }
    }

    pub(super) fn space(&mut self, height: f64) {
        self.pen -= height;
    }

    /// Begins a page if there is less room.
    pub(super) fn need(&mut self, height: f64) {
        if self.pen - height < BOTTOM {
            self.new_page();
        }
    }

    /// Takes room; its lower edge.
    pub(super) fn take(&mut self, height: f64) -> f64 {
        self.need(height);
        self.pen -= height;
        self.pen
    }

    fn put(&mut self, command: std::fmt::Arguments<'_>) {
        if let Some(page) = self.pages.last_mut() {
            // Writing to a String does not fail.
            let _ = page.write_fmt(command);
        }
    }

    /// Text over the whole width, in as many lines as it needs.
    pub(super) fn text(&mut self, font: &str, size: f64, text: &str) {
        for line in wrap(text, size, WIDTH) {
            let y = self.take(size * 1.35);
            self.write(font, (0.11, 0.12, 0.14), (LEFT, y), size, &line);
        }
        self.space(size * 0.4);
    }

    /// Text at a place.
    pub(super) fn label(&mut self, color: Color, at: (f64, f64), size: f64, text: &str) {
        self.write(BOLD, color, at, size, text);
    }

    fn write(&mut self, font: &str, (r, g, b): Color, (x, y): (f64, f64), size: f64, text: &str) {
        let text = literal(text);
        self.put(format_args!("BT {r} {g} {b} rg /{font} {size} Tf {x:.2} {y:.2} Td ({text}) Tj ET\n"));
    }

    /// A filled rectangle: left, lower edge, width, height.
    pub(super) fn area(&mut self, (r, g, b): Color, (x, y, width, height): (f64, f64, f64, f64)) {
        self.put(format_args!("{r} {g} {b} rg {x:.2} {y:.2} {width:.2} {height:.2} re f\n"));
    }

    /// A filled shape with an outline.
    pub(super) fn shape(&mut self, (r, g, b): Color, (lr, lg, lb): Color, width: f64, points: &[(f64, f64)]) {
        self.put(format_args!("{r} {g} {b} rg {lr} {lg} {lb} RG {width} w "));
        for (index, (x, y)) in points.iter().enumerate() {
            let operator = if index == 0 { "m" } else { "l" };
            self.put(format_args!("{x:.1} {y:.1} {operator} "));
        }
        self.put(format_args!("b\n"));
    }

    /// A table; its heading stands on each page again.
    pub(super) fn table(&mut self, caption: &str, head: &[&str], rows: &[Vec<String>]) {
        const SIZE: f64 = 7.5;
        let widths = columns(head, rows, SIZE);
        self.need(50.0);
        self.text(BOLD, 9.5, caption);
        let head: Vec<String> = head.iter().map(|cell| (*cell).to_owned()).collect();
        self.row(BOLD, SIZE, &widths, &head);
        for row in rows {
            let lines = cells(row, &widths, SIZE).iter().map(Vec::len).max().unwrap_or(1);
            if self.pen - lines as f64 * SIZE * 1.3 < BOTTOM {
                self.new_page();
                self.row(BOLD, SIZE, &widths, &head);
            }
            self.row(PLAIN, SIZE, &widths, row);
        }
        self.space(8.0);
    }

    fn row(&mut self, font: &str, size: f64, widths: &[f64], row: &[String]) {
        let cells = cells(row, widths, size);
        let lines = cells.iter().map(Vec::len).max().unwrap_or(1);
        let bottom = self.take(lines as f64 * size * 1.3 + 3.0);
        let mut x = LEFT;
        for (cell, width) in cells.iter().zip(widths) {
            for (index, line) in cell.iter().enumerate() {
                let y = bottom + (lines - index) as f64 * size * 1.3 - size * 0.9 + 2.0;
                self.write(font, (0.11, 0.12, 0.14), (x, y), size, line);
            }
            x += width;
        }
        self.area((0.82, 0.84, 0.87), (LEFT, bottom, WIDTH, 0.4));
    }

    /// The pages, with their numbers.
    pub(super) fn finish(mut self) -> Vec<String> {
        let all = self.pages.len();
        let title = literal(&self.title);
        for (index, page) in self.pages.iter_mut().enumerate() {
            let number = format!("{} / {all}", index + 1);
            let right = LEFT + WIDTH - width(&number, 8.0);
            let _ = writeln!(page, "BT 0.4 0.4 0.4 rg /F1 8 Tf {LEFT} 24 Td ({title}) Tj ET");
            let _ = writeln!(page, "BT 0.4 0.4 0.4 rg /F1 8 Tf {right:.2} 24 Td ({number}) Tj ET");
        }
        self.pages
    }
}

/// Widths of columns: what they need, all together the page.
fn columns(head: &[&str], rows: &[Vec<String>], size: f64) -> Vec<f64> {
    let mut needs: Vec<f64> = head.iter().map(|cell| width(cell, size) + 10.0).collect();
    for row in rows {
        for (need, cell) in needs.iter_mut().zip(row) {
            // What is very long is wrapped.
            *need = need.max((width(cell, size) + 8.0).min(240.0));
        }
    }
    let sum: f64 = needs.iter().sum();
    needs.into_iter().map(|need| need / sum * WIDTH).collect()
}

fn cells(row: &[String], widths: &[f64], size: f64) -> Vec<Vec<String>> {
    row.iter().zip(widths).map(|(cell, width)| wrap(cell, size, width - 5.0)).collect()
}

fn width(text: &str, size: f64) -> f64 {
    let of = |letter: char| (letter as usize).checked_sub(32).and_then(|at| WIDTHS.get(at)).copied().unwrap_or(600);
    text.chars().map(|letter| f64::from(of(letter))).sum::<f64>() * size / 1000.0
}

/// Lines that fit, broken at spaces, or anywhere in what is longer than a line. Bold is a little wider: a twentieth is left.
fn wrap(text: &str, size: f64, room: f64) -> Vec<String> {
    let room = room * 0.95;
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let line = lines.last().cloned().unwrap_or_default();
        let longer = if line.is_empty() { word.to_owned() } else { format!("{line} {word}") };
        if width(&longer, size) <= room {
            lines.pop();
            lines.push(longer);
            continue;
        }
        if line.is_empty() {
            lines.pop();
        }
        let mut piece = String::new();
        for letter in word.chars() {
            piece.push(letter);
            if width(&piece, size) > room && piece.chars().count() > 1 {
                let last = piece.pop();
                lines.push(std::mem::take(&mut piece));
                piece.extend(last);
            }
        }
        lines.push(piece);
    }
    lines
}

/// Text between the parentheses of a string: escaped, Latin-1 as octal digits.
fn literal(text: &str) -> String {
    let mut out = String::new();
    for letter in text.chars() {
        match letter {
            '(' | ')' | '\\' => out.extend(['\\', letter]),
            ' '..='~' => out.push(letter),
            '\u{a0}'..='\u{ff}' => out.push_str(&format!("\\{:03o}", letter as u32)),
            _ => out.push('?'),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_words_are_broken_and_nothing_is_lost() {
        let text = format!("a {} b", "x".repeat(500));
        let lines = wrap(&text, 8.0, 100.0);
        assert!(lines.iter().all(|line| width(line, 8.0) <= 100.0), "{lines:?}");
        assert_eq!(lines.concat().replace(' ', ""), text.replace(' ', ""));
        assert_eq!(wrap("", 8.0, 100.0), [""]);
        assert_eq!(literal("(\u{e9}\u{20ac})\\"), "\\(\\351?\\)\\\\");
    }
}
