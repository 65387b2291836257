//! Writes the measurements of the fault tests into the table of a page:
//! `reliability <measured> <page>`.

use std::{env, fs};

use tests::report::{self, Measured};

fn main() {
    let arguments: Vec<String> = env::args().collect();
    let [_, measured, page] = arguments.as_slice() else { panic!("reliability <measured> <page>") };
    let lines = fs::read_to_string(measured).expect("what was measured");
    let lines = Measured::parse(&lines).expect("lines of the tests");
    let text = fs::read_to_string(page).expect("the page");
    let text = report::place(&text, &report::table(&lines)).expect("the marks of the table");
    fs::write(page, text).expect("the page is written");
}
