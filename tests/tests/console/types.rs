//! The types in the comments of our modules.

use std::{path::Path, process::Command};

use tests::setting;

#[test]
fn the_types_of_our_modules_fit() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../admin/assets");
    let modules = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let modules: Vec<_> = modules.filter(|path| path.extension().is_some_and(|kind| kind == "js")).collect();
    assert!(!modules.is_empty());
    let options = ["--noEmit", "--allowJs", "--checkJs", "--strict", "--target", "es2023", "--module", "es2022"];
    let mut command = Command::new("node");
    command.arg(setting("LINECOOK_TSC")).args(options).args(["--lib", "es2023,dom,dom.iterable"]).args(modules);
    let checked = command.output().unwrap();
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stdout));
}
