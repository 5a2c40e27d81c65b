//! The file around the pages: objects, their places, the end (ISO 32000-1, 7.5).

use std::io::Write as _;

use flate2::{Compression, write::ZlibEncoder};

use super::page::PAGE;

/// Objects before those of the pages: catalog, list of pages, two fonts, information.
const FIXED: usize = 5;

/// The file of these content streams.
pub(super) fn write(title: &str, pages: &[String]) -> Vec<u8> {
    let kids: String = (0..pages.len()).map(|index| format!("{} 0 R ", FIXED + 1 + 2 * index)).collect();
    let title: String =
        title.chars().filter(|letter| letter.is_ascii_alphanumeric() || " :,.-".contains(*letter)).collect();
    let font =
        |name: &str| format!("<</Type/Font/Subtype/Type1/BaseFont/{name}/Encoding/WinAnsiEncoding>>").into_bytes();
    let mut objects: Vec<Vec<u8>> = vec![
        b"<</Type/Catalog/Pages 2 0 R/Lang(en)/ViewerPreferences<</DisplayDocTitle true>>>>".to_vec(),
        format!("<</Type/Pages/Kids[{kids}]/Count {}>>", pages.len()).into_bytes(),
        font("Helvetica"),
        font("Helvetica-Bold"),
        format!("<</Title({title})/Producer(Sentinel)>>").into_bytes(),
    ];
    for (index, page) in pages.iter().enumerate() {
        let (width, height) = PAGE;
        let content = FIXED + 2 + 2 * index;
        objects.push(
            format!(
                "<</Type/Page/Parent 2 0 R/MediaBox[0 0 {width} {height}]/Resources<</Font<</F1 3 0 R/F2 4 0 R>>>>\
                 /Contents {content} 0 R>>"
            )
            .into_bytes(),
        );
        objects.push(stream(page));
    }
    assemble(&objects)
}

fn stream(content: &str) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    // Writing to memory does not fail; if it did, the page would be empty and not wrong.
    let packed = encoder.write_all(content.as_bytes()).and_then(|()| encoder.finish()).unwrap_or_default();
    let mut object = format!("<</Length {}/Filter/FlateDecode>>\nstream\n", packed.len()).into_bytes();
    object.extend(packed);
    object.extend(b"\nendstream");
    object
}

fn assemble(objects: &[Vec<u8>]) -> Vec<u8> {
    let mut file = b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n".to_vec();
    let mut places = Vec::new();
    for (index, object) in objects.iter().enumerate() {
        places.push(file.len());
        file.extend(format!("{} 0 obj\n", index + 1).as_bytes());
        file.extend(object);
        file.extend(b"\nendobj\n");
    }
    let table = file.len();
    let entries: String = places.iter().map(|place| format!("{place:010} 00000 n \n")).collect();
    let count = objects.len() + 1;
    let end = format!(
        "xref\n0 {count}\n0000000000 65535 f \n{entries}trailer\n<</Size {count}/Root 1 0 R/Info 5 0 R>>\nstartxref\n{table}\n%%EOF\n"
    );
    file.extend(end.as_bytes());
    file
}
