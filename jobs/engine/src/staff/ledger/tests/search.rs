//! Tests of searches and of filters that leave jobs out.

use super::*;

/// A job whose payload has a value to search for, and one that nobody sees.
#[derive(Debug, Serialize, Deserialize)]
struct Noted {
    remark: String,
}

impl Job for Noted {
    type Services = ();

    const KIND: &'static str = "noted";
    const QUEUE: Queue = Queue::new("default");
    const RETRY: Retry = Retry::NEVER;

    async fn run(self, _cx: &JobContext<()>) -> Result<crate::Done, JobError> {
        Ok(crate::Done::nothing("test"))
    }
}

/// The same with a hidden payload.
#[derive(Debug, Serialize, Deserialize)]
struct Hidden {
    remark: String,
}

impl Job for Hidden {
    type Services = ();

    const KIND: &'static str = "hidden";
    const QUEUE: Queue = Queue::new("default");
    const RETRY: Retry = Retry::NEVER;
    const REDACTED: &'static [&'static str] = &["remark"];

    async fn run(self, _cx: &JobContext<()>) -> Result<crate::Done, JobError> {
        Ok(crate::Done::nothing("test"))
    }
}

static SEARCHED: &[Kind<()>] = &[Kind::of::<Noop>(), Kind::of::<Noted>(), Kind::of::<Hidden>()];

async fn find(bench: &Bench, filter: &JobFilter) -> Vec<JobId> {
    let mut tx = bench.engine.db.system().await.unwrap();
    let listed = list_jobs(&mut tx, SEARCHED, filter, 10).await.unwrap();
    assert_eq!(listed.next, None, "{filter:?}");
    listed.jobs.iter().map(|job| job.id).collect()
}

/// Writes the words of all finished jobs. Returns the number of jobs.
async fn index(bench: &Bench) -> usize {
    let mut tx = bench.engine.db.system().await.unwrap();
    let (jobs, _) = index_words(&mut tx, None, i64::MAX).await.unwrap();
    tx.commit().await.unwrap();
    jobs
}

/// Returns the words of finished jobs.
async fn words(bench: &Bench) -> Vec<String> {
    let mut tx = bench.engine.db.system().await.unwrap();
    sqlx::query_scalar("select word from job_words order by word").fetch_all(&mut *tx).await.unwrap()
}

/// Waits until a transaction waits for a row that another one holds.
async fn until_somebody_waits(bench: &Bench) {
    let sql = "
        select exists (
          select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'
        )";
    let waits = async {
        loop {
            let mut tx = bench.engine.db.system().await.unwrap();
            if sqlx::query_scalar(sql).fetch_one(&mut *tx).await.unwrap() {
                return;
            }
            drop(tx);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), waits).await.expect("somebody waits");
}

fn text(text: &str) -> JobFilter {
    JobFilter { text: Some(text.to_owned()), ..JobFilter::default() }
}

/// Inserts finished jobs that are newer than all others.
async fn bury(bench: &Bench) {
    let sql = "
        insert into job_history (id, tenant_id, kind, queue, args, state, priority, run_at, due_at, attempt, failures,
          crashes, poison, depth, failed_children, counted, created_at, ended_at)
        select gen_random_uuid(), $1, 'noop', 'default', jsonb_build_object('n', number), 'completed', 2, now(), now(), 1, 0,
          0, 0, 0, 0, true, now() + interval '1 minute', now()
        from generate_series(1, 20500) as number";
    bench.execute(sql, bench.tenant_id.0).await;
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_search_finds_payloads_and_failures_in_every_state(pool: PgPool) {
    let bench = Bench::new(pool, SEARCHED).await;
    let ended = bench.enqueue(&Noted { remark: "Pizza \"Quattro\"\n@krusty".to_owned() }).await;
    bench.enqueue(&Hidden { remark: "pizza".to_owned() }).await;
    bench.drain().await;
    let waits = later(&bench, &Noted { remark: "a pizzaiolo".to_owned() }).await;
    later(&bench, &Hidden { remark: "pizza".to_owned() }).await;
    let failed = later(&bench, &Noop::default()).await;
    let error = "update jobs set error = '{\"class\": \"transient\", \"message\": \"code OAuth-190\"}' where id = $1";
    bench.execute(error, failed.0).await;
    act_and_commit(&bench, Action::Cancel, &[failed]).await;
    assert_eq!(find(&bench, &text("KRUSTY")).await, [ended], "before its words are written");
    assert_eq!(find(&bench, &text("oauth-190")).await, [failed], "before its words are written");
    assert_eq!(index(&bench).await, 3);
    for (words, expected) in [
        ("PIZZA", vec![waits, ended]),
        ("quattro\"", vec![ended]),
        ("\"Quattro\"", vec![ended]),
        ("\"\"", vec![]),
        ("@krusty", vec![ended]),
        ("oauth-190", vec![failed]),
        ("transient code", vec![failed]),
        ("pizzaiol", vec![waits]),
        ("quattr", vec![]),
        ("remark", vec![]),
        ("..", vec![]),
        (&failed.to_string(), vec![failed]),
    ] {
        assert_eq!(find(&bench, &text(words)).await, expected, "{words}");
    }
    let of_tenant = JobFilter { tenant_id: Some(bench.tenant_id), ..text("quattr") };
    assert_eq!(find(&bench, &of_tenant).await, [ended], "a tenant's jobs are searched without the index");
}

#[sqlx::test(migrations = "../../migrations")]
async fn an_old_finished_job_is_found_at_once(pool: PgPool) {
    let bench = Bench::new(pool, SEARCHED).await;
    let note = Uuid::now_v7().to_string();
    let old = bench.enqueue(&Noted { remark: note.clone() }).await;
    let account = Uuid::now_v7();
    bench.execute("update jobs set account_id = id where id = $1", old.0).await;
    bench.drain().await;
    let discarded = later(&bench, &Noop::default()).await;
    act_and_commit(&bench, Action::Discard, &[discarded]).await;
    bury(&bench).await;
    assert_eq!(index(&bench).await, 20_502);
    assert_eq!(find(&bench, &text(&note)).await, [old]);
    assert_eq!(find(&bench, &JobFilter { account_id: Some(old.0), ..JobFilter::default() }).await, [old]);
    assert!(find(&bench, &JobFilter { account_id: Some(account), ..JobFilter::default() }).await.is_empty());
    let not_completed = JobFilter { not_states: vec![JobState::Completed], ..JobFilter::default() };
    assert_eq!(find(&bench, &not_completed).await, [discarded]);
}

#[sqlx::test(migrations = "../../migrations")]
async fn words_leave_with_their_job(pool: PgPool) {
    let bench = Bench::new(pool, SEARCHED).await;
    let job = later(&bench, &Noted { remark: "anchovies".to_owned() }).await;
    act_and_commit(&bench, Action::Cancel, &[job]).await;
    assert_eq!(index(&bench).await, 1);
    assert_eq!(words(&bench).await, ["anchovies"]);
    act_and_commit(&bench, Action::Retry, &[job]).await;
    assert!(words(&bench).await.is_empty());
    act_and_commit(&bench, Action::Cancel, &[job]).await;
    act_and_commit(&bench, Action::Retry, &[job]).await;
    assert_eq!(index(&bench).await, 0, "it has not finished");
    bench.drain().await;
    assert_eq!(index(&bench).await, 1);
    assert_eq!(words(&bench).await, ["anchovies"]);
    bench.execute("delete from job_history where id = $1", job.0).await;
    assert!(words(&bench).await.is_empty());
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_job_that_commits_late_is_indexed_by_the_next_run(pool: PgPool) {
    let bench = Bench::new(pool, SEARCHED).await;
    let late = later(&bench, &Noted { remark: "late".to_owned() }).await;
    let early = later(&bench, &Noted { remark: "early".to_owned() }).await;
    let mut tx = bench.engine.db.system().await.unwrap();
    act(&mut tx, SEARCHED, Action::Cancel, &[late]).await.unwrap();
    act_and_commit(&bench, Action::Cancel, &[early]).await;
    assert_eq!(index(&bench).await, 1);
    tx.commit().await.unwrap();
    assert_eq!(find(&bench, &text("late")).await, [late]);
    assert_eq!(index(&bench).await, 1);
    assert_eq!(words(&bench).await, ["early", "late"]);
}

#[sqlx::test(migrations = "../../migrations")]
async fn two_that_index_at_once_share_the_jobs_and_one_that_is_killed_loses_none(pool: PgPool) {
    let bench = Bench::new(pool, SEARCHED).await;
    for remark in ["first", "second", "third"] {
        bench.enqueue(&Noted { remark: remark.to_owned() }).await;
    }
    bench.drain().await;
    let mut killed = bench.engine.db.system().await.unwrap();
    let (jobs, last) = index_words(&mut killed, None, 1).await.unwrap();
    let mut other = bench.engine.db.system().await.unwrap();
    assert_eq!((jobs, index_words(&mut other, None, 10).await.unwrap().0), (1, 2));
    assert_eq!(index_words(&mut other, last, 10).await.unwrap(), (0, None), "it has them already");
    other.commit().await.unwrap();
    drop(killed);
    assert_eq!(index(&bench).await, 1);
    assert_eq!(words(&bench).await, ["first", "second", "third"]);
}

#[sqlx::test(migrations = "../../migrations")]
async fn words_that_are_written_while_their_job_is_deleted_leave_with_it(pool: PgPool) {
    let bench = Bench::new(pool, SEARCHED).await;
    let job = bench.enqueue(&Noted { remark: "anchovies".to_owned() }).await;
    bench.drain().await;
    let mut indexing = bench.engine.db.system().await.unwrap();
    assert_eq!(index_words(&mut indexing, None, 10).await.unwrap().0, 1);
    let delete = bench.execute("delete from job_history where id = $1", job.0);
    let commit = async {
        until_somebody_waits(&bench).await;
        indexing.commit().await.unwrap();
    };
    tokio::join!(delete, commit);
    assert!(words(&bench).await.is_empty());
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_filter_leaves_out_what_it_names(pool: PgPool) {
    let bench = Bench::new(pool, SEARCHED).await;
    let other = TenantId::new();
    bench.insert_tenant(other, "Hults Cafe").await;
    let done = bench.enqueue(&Noop::default()).await;
    bench.drain().await;
    let noted = later(&bench, &Noted { remark: "x".to_owned() }).await;
    let mut tx = bench.engine.db.tenant(other).await.unwrap();
    let others = tx.enqueue(NewJob::new(other, &Noop::default())).await.unwrap().id;
    tx.commit().await.unwrap();
    bench.execute("update jobs set queue = 'media' where id = $1", others.0).await;
    let ended = bench.job(done).await.ended_at.unwrap();
    let any = JobFilter::default;
    for (filter, expected) in [
        (JobFilter { not_kinds: vec!["noop".to_owned()], ..any() }, vec![noted]),
        (JobFilter { not_queues: vec!["media".to_owned()], ..any() }, vec![noted, done]),
        (JobFilter { not_tenants: vec![bench.tenant_id], ..any() }, vec![others]),
        (JobFilter { not_states: vec![JobState::Completed, JobState::Scheduled], ..any() }, vec![others]),
        (JobFilter { not_states: JobState::ALL.to_vec(), ..any() }, vec![]),
        (JobFilter { ended_since: Some(ended), ..any() }, vec![done]),
        (JobFilter { ended_until: Some(ended), ..any() }, vec![]),
    ] {
        assert_eq!(find(&bench, &filter).await, expected, "{filter:?}");
    }
}
