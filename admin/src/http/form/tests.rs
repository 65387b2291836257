use std::io::Read as _;

use futures_util::stream;
use proptest::prelude::*;

use super::*;
use crate::{budgets::Budgets, config::BudgetConfig};

const KIND: &str = "multipart/form-data; boundary=b";

async fn read_in(body: &[u8], kind: &str, chunk_bytes: usize) -> Result<Form, ApiError> {
    let chunks: Vec<io::Result<Bytes>> =
        body.chunks(chunk_bytes).map(|chunk| Ok(Bytes::copy_from_slice(chunk))).collect();
    let budgets = Budgets::new(BudgetConfig::default());
    Form::read(stream::iter(chunks), kind, 1024 * 1024, &budgets.uploads).await
}

async fn read(body: &str) -> Result<Form, ApiError> {
    read_in(body.as_bytes(), KIND, 10).await
}

fn picture(boundary: &str, words: &str) -> String {
    format!(
        "--{boundary}\r\nContent-Disposition: form-data; name=\"tags\"\r\n\r\nsummer\r\n--{boundary}\r\n\
         Content-Disposition: form-data; name=\"file\"; filename=\"a.jpg\"\r\nContent-Type: image/jpeg\r\n\r\n{words}\
         \r\n--{boundary}--\r\n"
    )
}

#[tokio::test]
async fn files_and_texts_are_read() {
    let form = read(&picture("b", "bytes")).await.unwrap();
    let [tags, file] = form.fields() else { panic!("{form:?}") };
    assert!(matches!(&tags.content, Content::Text(text) if text == "summer" && tags.name == "tags"));
    let Content::File(file) = &file.content else { panic!("{file:?}") };
    let mut read = String::new();
    (&file.bytes).read_to_string(&mut read).unwrap();
    assert_eq!((read.as_str(), file.name.as_str(), file.size_bytes), ("bytes", "a.jpg", 5));
}

#[tokio::test]
async fn a_form_is_the_same_whatever_divides_it() {
    let sum = async |boundary: &str, words: &str| {
        let body = picture(boundary, words);
        let kind = format!("Multipart/Form-Data; Boundary=\"{boundary}\"");
        read_in(body.as_bytes(), &kind, 7).await.unwrap().sha256().to_vec()
    };
    let longest = "x".repeat(MAX_BOUNDARY);
    assert_eq!(sum("abc", "x").await, sum(&longest, "x").await);
    assert_ne!(sum("abc", "x").await, sum("abc", "y").await);
}

#[tokio::test]
async fn what_is_no_form_is_refused() {
    let refused = async |body: &[u8], kind: &str| format!("{:?}", read_in(body, kind, 64).await.unwrap_err());
    for kind in ["multipart/form-data", "multipart/mixed; boundary=b", "multipart/form-data; boundary=\"\"", "x"] {
        assert!(refused(b"", kind).await.contains("boundary of 1 to 70"), "{kind}");
    }
    let long = format!("multipart/form-data; boundary={}", "x".repeat(MAX_BOUNDARY + 1));
    assert!(refused(b"", &long).await.contains("boundary of 1 to 70"));
    let head = "--b\r\nContent-Disposition: form-data; name=\"x\"\r\n\r\n";
    for body in ["", "nonsense", "--b", head, "--b\r\n\r\nx\r\n--b--\r\n"] {
        assert!(refused(body.as_bytes(), KIND).await.contains("cannot be read"), "{body}");
    }
    let large = format!("{head}{}", "x".repeat(MAX_TEXT_BYTES + 1));
    assert!(refused(large.as_bytes(), KIND).await.contains("no filename"));
    let many = format!("{}--b--\r\n", format!("{head}x\r\n").repeat(MAX_FIELDS + 1));
    assert!(refused(many.as_bytes(), KIND).await.contains("more than 20 fields"));
}

#[tokio::test]
async fn a_head_without_an_end_is_not_kept() {
    let endless = format!("--b\r\nContent-Disposition: form-data; {}", "x".repeat(2 * MAX_TEXT_BYTES));
    let preamble = "x".repeat(2 * MAX_TEXT_BYTES);
    for body in [endless, preamble] {
        let refused = read(&body).await.unwrap_err();
        assert!(format!("{refused:?}").contains("is too long"), "{refused:?}");
    }
}

#[tokio::test]
async fn too_many_bytes_are_refused() {
    let refused = read(&picture("b", &"x".repeat(1024 * 1024))).await.unwrap_err();
    assert!(matches!(refused, ApiError::TooLarge(_)), "{refused:?}");
}

proptest! {
    #[test]
    fn any_body_is_read_or_refused(body in "(--b|\r\n|Content-Disposition: form-data; |name=|\"|x|--){0,20}", size in 1_usize..9) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let _ = runtime.block_on(read_in(body.as_bytes(), KIND, size));
    }
}
