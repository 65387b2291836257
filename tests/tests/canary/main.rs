//! Tests that no secret leaks. Everything is done once with marked secrets, then every visible
//! output is searched for them.

#![expect(clippy::unwrap_used, reason = "a test may")]

mod http;
mod mistakes;
mod people;
mod planted;
mod program;
mod search;
mod secrets;
mod servers;
mod stage;
mod sweep;
mod work;

use search::{Artifact, search};
use stage::Stage;

const DUMP: &str = "the dump of the database";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_is_to_be_found_anywhere_but_where_it_is_handed_out() {
    let mut stage = Stage::start().await;
    let ada = people::ada(&mut stage).await;
    people::bob(&stage).await;
    people::eve(&stage, &ada).await;
    people::key(&stage, &ada).await;
    work::connect(&stage, &ada).await;
    work::refresh(&stage, &ada).await;
    work::write(&stage, &ada).await;
    work::publish(&stage, &ada).await;
    work::panic(&stage).await;
    people::refused_letters(&stage).await;
    mistakes::requests(&stage).await;
    mistakes::starts(&stage).await;
    people::stolen_token(&stage, &ada).await;
    mistakes::outages(&mut stage).await;
    sweep::read_everything(&stage).await;

    people::keep_all_codes(&stage, &ada).await;
    work::keep_all_tokens(&stage).await;
    for server in ["password of PostgreSQL", "password of Redis"] {
        // None of this would have run without it.
        stage.secrets.worked_named(server);
    }
    let artifacts = everything(&stage).await;
    let dump = artifacts.iter().find(|place| place.name == DUMP).expect("it is there");
    assert!(dump.bytes.windows(10).any(|bytes| bytes == b"v1.canary."), "tokens are stored under the marked key");
    stage.secrets.worked_named("ENCRYPTION_KEYS");
    assert_eq!(stage.secrets.unused(), Vec::<String>::new(), "every secret was the real one");
    let finds = search(&stage.secrets, &artifacts);
    let sizes: Vec<String> = artifacts.iter().map(|place| format!("{} {}", place.bytes.len(), place.name)).collect();
    println!("{} secrets, {} artifacts: {sizes:?}", stage.secrets.names().len(), artifacts.len());
    assert!(finds.is_empty(), "{} finds: {finds:#?}", finds.len());
}

/// Returns every output of a run that somebody could see.
async fn everything(stage: &Stage) -> Vec<Artifact> {
    let mut artifacts = stage.http.take();
    artifacts.extend(stage.folder.read());
    artifacts.push(stage.monitor.place());
    artifacts.push(servers::contents(&stage.redis).await);
    artifacts.push(Artifact::new(DUMP, stage.postgres.dump()));
    artifacts.push(Artifact::new("the log of PostgreSQL", stage.postgres.log()));
    assert!(
        artifacts.iter().all(|place| !place.bytes.is_empty() || place.name.starts_with("what Redis")),
        "all is read"
    );
    artifacts
}
