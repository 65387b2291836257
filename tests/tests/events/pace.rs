//! Tests of silent and long event streams, and of streams whose process or Redis goes away.

use std::time::{Duration, Instant};

use admin::Pace;
use jobs::{engine::Window, ids::JobId, noop::Noop};
use sqlx::PgPool;
use tests::{
    TestApp,
    proxy::{Network, Proxy},
    setting,
};

use crate::stream::Stream;

/// A time longer than any test waits.
const NEVER: Duration = Duration::from_mins(10);

async fn app(pool: PgPool, pace: Pace) -> TestApp {
    TestApp::with_pace(pool, &setting("REDIS_URL"), pace).await
}

/// Adds a message to a job without notifying Redis.
async fn say(app: &TestApp, job: JobId) {
    let sql = "
        insert into job_events (tenant_id, job_id, seq, attempt, level, message)
        select tenant_id, $1, (select count(*) + 1 from job_events), 1, 'info', 'said' from jobs where id = $1";
    app.bench.execute(sql, job.0).await;
}

#[sqlx::test(migrations = "../migrations")]
async fn a_stream_on_which_nothing_is_said_shows_that_it_lives(pool: PgPool) {
    let pace = Pace { poll: NEVER, heartbeat: Duration::from_millis(300), ..Pace::default() };
    let app = app(pool, pace).await;
    let job = app.bench.enqueue(&Noop::default()).await;
    let begun = Instant::now();
    let mut stream = Stream::open(&app, job.0, None).await;
    assert_eq!(stream.next().await.unwrap().event, "state");
    let mut comments = String::new();
    while comments.len() < 3 * ":\n\n".len() {
        comments.push_str(&stream.chunk().await.unwrap());
    }
    assert!(comments.split_terminator("\n\n").all(|comment| comment == ":"), "{comments:?}");
    assert!(begun.elapsed() >= Duration::from_millis(600), "not all the time: {:?}", begun.elapsed());
}

#[sqlx::test(migrations = "../migrations")]
async fn a_stream_is_cut_in_time_and_goes_on_where_it_was(pool: PgPool) {
    let life = Duration::from_secs(1);
    let app = app(pool, Pace { poll: Duration::from_millis(100), longest_stream: life, ..Pace::default() }).await;
    let job = app.bench.enqueue(&Noop::default()).await;
    say(&app, job).await;
    let begun = Instant::now();
    let cut = Stream::open(&app, job.0, None).await.rest().await;
    let took = begun.elapsed();
    assert!((life..8 * life).contains(&took), "{took:?}");
    let events: Vec<&str> = cut.iter().map(|message| message.event.as_str()).collect();
    assert_eq!(events, ["state", "log"], "the job has not ended");
    say(&app, job).await;
    app.bench.drain().await;
    let rest = Stream::open(&app, job.0, cut[1].id).await.rest().await;
    let events: Vec<(&str, Option<i32>)> = rest.iter().map(|message| (message.event.as_str(), message.id)).collect();
    assert_eq!(events, [("log", Some(2)), ("end", Some(2))]);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_process_that_is_to_stop_ends_its_streams_and_then_itself(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let job = app.bench.enqueue(&Noop::default()).await;
    let (admin, url) = app.serve_apart().await;
    let client = reqwest::Client::builder().read_timeout(Duration::from_mins(1)).build().unwrap();
    let request = client.get(format!("{url}/api/v1/jobs/{job}/events"));
    let mut stream = Stream::of(request.bearer_auth(&app.key), None).await;
    assert_eq!(stream.next().await.unwrap().event, "state");
    let (rest, (code, took)) = tokio::join!(stream.rest(), admin.terminate());
    assert!(rest.is_empty(), "the job has not ended: {rest:?}");
    assert_eq!(code, Some(0));
    assert!(took < Duration::from_secs(10), "requests have 20 seconds, streams none: {took:?}");
    assert_eq!(Stream::open(&app, job.0, None).await.next().await.unwrap().event, "state", "another one serves them");
}

/// The API subscribes to Redis again after its connection, and the next one too, were cut silently.
#[sqlx::test(migrations = "../migrations")]
async fn streams_are_woken_again_after_a_cut_that_nobody_noticed(pool: PgPool) {
    let proxy = Proxy::before(&setting("REDIS_URL")).await;
    let life = Duration::from_secs(1);
    let pace = Pace { poll: NEVER, subscription: life, ..Pace::default() };
    let app = TestApp::with_pace(pool, &proxy.url, pace).await;
    let direct = Window::open(&setting("REDIS_URL"), &app.redis_prefix).unwrap();
    let job = app.bench.enqueue(&Noop::default()).await;
    let mut stream = Stream::open(&app, job.0, None).await;
    assert_eq!(stream.next().await.unwrap().event, "state");
    say(&app, job).await;
    woken(&direct, job, &mut stream, Duration::from_mins(1)).await;
    proxy.make(Network::Silent);
    // By now the API has subscribed again, in vain.
    tokio::time::sleep(2 * life).await;
    proxy.forget();
    proxy.make(Network::Whole);
    say(&app, job).await;
    woken(&direct, job, &mut stream, Duration::from_mins(1)).await;
}

/// Announces a message repeatedly until it arrives at the stream.
async fn woken(window: &Window, job: JobId, stream: &mut Stream, at_most: Duration) {
    let announced = async {
        loop {
            window.announce(job).await;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::select! {
        message = tokio::time::timeout(at_most, stream.next()) => {
            assert_eq!(message.expect("it is woken").unwrap().event, "log");
        }
        () = announced => {}
    }
}
