//! Our programs, with all their output.

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use tests::until;
use tokio::process::{Child, Command};
use uuid::Uuid;

use crate::search::Artifact;

const PATIENCE: Duration = Duration::from_mins(1);

/// A folder that is removed on drop.
#[derive(Debug)]
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        let path = std::env::temp_dir().join(format!("linecook-canary-{}", Uuid::now_v7()));
        std::fs::create_dir(&path).expect("a folder");
        Self(path)
    }

    /// Returns all output.
    pub(crate) fn read(&self) -> Vec<Artifact> {
        let files = std::fs::read_dir(&self.0).expect("the folder").map(|file| file.expect("a file").path());
        files.map(|path| Artifact::new(&name_of(&path), std::fs::read(&path).expect("a log"))).collect()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // A leftover in the temporary folder fails no test.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// A program whose output and log are kept in a folder. It is killed on drop.
#[derive(Debug)]
pub(crate) struct Program {
    child: Child,
    log: PathBuf,
}

impl Program {
    pub(crate) fn start(mut command: Command, folder: &Folder, name: &str) -> Self {
        let log = folder.0.join(name);
        let file = File::create(&log).expect("a file");
        let again = file.try_clone().expect("the same file");
        let command = command.stdin(Stdio::null()).stdout(file).stderr(again).kill_on_drop(true);
        Self { child: command.spawn().expect("the program starts"), log }
    }

    /// Waits until a line contains these words, and returns the line.
    pub(crate) async fn says(&self, words: &str) -> String {
        until(&format!("{words:?} is in {}", self.log.display()), PATIENCE, async || {
            let said = std::fs::read(&self.log).expect("its log");
            String::from_utf8_lossy(&said).lines().find(|line| line.contains(words)).map(str::to_owned)
        })
        .await
    }

    /// Waits until it ends by itself, and returns true if it succeeded.
    pub(crate) async fn ends(&mut self) -> bool {
        let ended = tokio::time::timeout(PATIENCE, self.child.wait()).await;
        ended.expect("it ends").expect("a status").success()
    }
}
