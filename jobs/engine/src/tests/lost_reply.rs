//! Tests of a lost reply to the commit of `sent`: nothing was sent, and the ledger learns that.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::{PgPool, postgres::PgPoolOptions};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use super::stop::effect;
use crate::{
    Answer, Db, Done, EffectState, Job, JobContext, JobError, JobState, Kind, Queue, Remote, Retry, ledger,
    testing::Bench,
};

static CALLS: AtomicU32 = AtomicU32::new(0);

/// A job that makes one call.
#[derive(Debug, Serialize, Deserialize)]
struct Call {}

impl Job for Call {
    type Services = ();

    const KIND: &'static str = "call";
    const QUEUE: Queue = Queue::new("default");
    const RETRY: Retry = Retry::QUICK;

    async fn run(self, cx: &JobContext<()>) -> Result<Done, JobError> {
        let send = |_| async {
            CALLS.fetch_add(1, Ordering::Relaxed);
            Ok(Remote { id: "1".to_owned(), permalink: None })
        };
        let Answer::Happened(receipt, remote) = cx.once(&effect(cx), send, |_| async { Ok(Vec::new()) }).await? else {
            panic!("it answers");
        };
        let mut tx = cx.begin().await?;
        assert!(tx.confirm(&receipt, &remote).await?);
        tx.complete(json!({})).await
    }
}

/// Runs a proxy to the database that cuts the first connection that commits `sent`, before the
/// reply. Returns its port.
async fn lossy_proxy(host: String, port: u16, cuts: Arc<AtomicU32>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let own_port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let server = TcpStream::connect((host.as_str(), port)).await.unwrap();
            tokio::spawn(pass_on(client, server, Arc::clone(&cuts)));
        }
    });
    own_port
}

async fn pass_on(mut client: TcpStream, mut server: TcpStream, cuts: Arc<AtomicU32>) -> std::io::Result<()> {
    let (mut question, mut reply) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    let mut is_sent = false;
    loop {
        tokio::select! {
            read = client.read(&mut question) => {
                let words = &question[..read?];
                if words.is_empty() {
                    return Ok(());
                }
                is_sent |= contains(words, b"set state = 'sent'");
                server.write_all(words).await?;
                if is_sent && contains(words, b"COMMIT") && cuts.fetch_add(1, Ordering::Relaxed) == 0 {
                    assert!(server.read(&mut reply).await? > 0, "the database commits");
                    return Ok(());
                }
            }
            read = server.read(&mut reply) => {
                let read = read?;
                if read == 0 {
                    return Ok(());
                }
                client.write_all(&reply[..read]).await?;
            }
        }
    }
}

fn contains(words: &[u8], wanted: &[u8]) -> bool {
    words.windows(wanted.len()).any(|window| window == wanted)
}

static CALL: &[Kind<()>] = &[Kind::of::<Call>()];

#[sqlx::test(migrations = "../../migrations")]
async fn a_call_whose_permission_was_lost_on_the_way_is_made_later_once(pool: PgPool) {
    let mut bench = Bench::new(pool.clone(), CALL).await;
    let options = pool.connect_options();
    let cuts = Arc::new(AtomicU32::new(0));
    let port = lossy_proxy(options.get_host().to_owned(), options.get_port(), Arc::clone(&cuts)).await;
    let through_proxy = options.as_ref().clone().host("127.0.0.1").port(port);
    let proxied = PgPoolOptions::new().max_connections(2).connect_with(through_proxy).await.unwrap();
    let db = Db::from_pool(proxied, None).await.unwrap();
    bench.engine.db = db;

    let id = bench.enqueue(&Call {}).await;
    assert_eq!(bench.drain().await, 1);
    assert_eq!((cuts.load(Ordering::Relaxed), CALLS.load(Ordering::Relaxed)), (1, 0));
    assert_eq!((bench.job(id).await.state, bench.error_class(id).await.as_str()), (JobState::Retryable, "database"));
    let mut tx = bench.engine.db.tenant(bench.tenant_id).await.unwrap();
    let effect = ledger::list_effects(&mut tx, bench.tenant_id, id).await.unwrap().remove(0);
    drop(tx);
    assert!(effect.state == EffectState::Intended && effect.facts[0]["not_sent"]["class"] == "database", "{effect:?}");

    assert_eq!(bench.drain_after(Duration::from_secs(5)).await, 1);
    assert_eq!((bench.job(id).await.state, CALLS.load(Ordering::Relaxed)), (JobState::Completed, 1));
}
