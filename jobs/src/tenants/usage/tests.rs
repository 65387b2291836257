use std::{sync::Arc, time::Duration};

use chrono::NaiveDate;
use serde_json::json;
use sqlx::PgPool;

use super::*;
use crate::{
    calendar::{GenerateCalendar, reserve, store as calendars},
    engine::JobState,
    ids::{CalendarId, JobId},
    tenants::settings::{self, Settings},
    testing::Bench,
};

/// A bench whose tenant is on the plan basic, with a limit of ten for everything.
async fn bench(pool: PgPool) -> Bench {
    let bench = Bench::new(pool).await;
    bench.execute("update tenants set plan = 'basic' where id = $1", bench.tenant_id.0).await;
    bench
}

async fn take(bench: &Bench, limited: Limited, count: i32) -> Result<(), UsageError> {
    let (plans, id) = (&bench.engine.services.plans, bench.tenant_id);
    let mut tx = bench.engine.db.tenant(id).await?;
    match limited {
        Limited::Posts => take_posts(&mut tx, plans, id, usize::try_from(count).unwrap()).await?,
        Limited::Images => take_image(&mut tx, plans, id, 7).await?,
        Limited::Generations => drop(take_generations(&mut tx, plans, id, count).await?),
    }
    Ok(tx.commit().await?)
}

fn reached(result: Result<(), UsageError>) -> Option<Reached> {
    match result {
        Err(UsageError::Reached(reached)) => Some(reached),
        Ok(()) => None,
        Err(error) => panic!("{error}"),
    }
}

async fn used(bench: &Bench) -> Usage {
    let mut tx = bench.engine.db.tenant(bench.tenant_id).await.unwrap();
    get(&mut tx, &bench.engine.services.plans, bench.tenant_id).await.unwrap()
}

async fn move_to(bench: &Bench, time_zone: &str) {
    let mut tx = bench.engine.db.tenant(bench.tenant_id).await.unwrap();
    let settings = Settings { time_zone: Some(time_zone.to_owned()), ..Settings::default() };
    settings::put(&mut tx, bench.tenant_id, &settings).await.unwrap();
    tx.commit().await.unwrap();
}

#[sqlx::test(migrations = "../migrations")]
async fn fifty_at_once_take_no_more_than_the_plan_allows(pool: PgPool) {
    let bench = Arc::new(bench(pool).await);
    for limited in [Limited::Posts, Limited::Images, Limited::Generations] {
        let tries: Vec<_> = (0..50)
            .map(|_| {
                let bench = Arc::clone(&bench);
                tokio::spawn(async move { reached(take(&bench, limited, 1).await) })
            })
            .collect();
        let mut refused = Vec::new();
        for one in tries {
            refused.extend(one.await.unwrap());
        }
        assert_eq!(refused.len(), 40, "{limited:?}");
        assert!(refused.iter().all(|reached| reached.limited == limited && reached.limit == 10));
        assert!(refused.iter().all(|reached| reached.again.is_none() == (limited == Limited::Images)));
    }
    let usage = used(&bench).await;
    assert_eq!((usage.posts.used, usage.images.used, usage.generations.used), (10, 10, 10));
    assert_eq!(usage.storage_bytes, 70);
}

#[sqlx::test(migrations = "../migrations")]
async fn more_at_once_than_is_left_is_refused_whole(pool: PgPool) {
    let bench = bench(pool).await;
    assert!(reached(take(&bench, Limited::Posts, 11).await).is_some(), "also as the first");
    assert!(reached(take(&bench, Limited::Posts, 8).await).is_none());
    assert!(reached(take(&bench, Limited::Posts, 3).await).is_some());
    assert_eq!(used(&bench).await.posts.used, 8);
    assert!(reached(take(&bench, Limited::Posts, 2).await).is_none());
}

#[sqlx::test(migrations = "../migrations")]
async fn a_new_day_begins_at_nothing_and_what_there_was_in_all_stays(pool: PgPool) {
    let bench = bench(pool).await;
    assert!(reached(take(&bench, Limited::Posts, 10).await).is_none());
    let refused = reached(take(&bench, Limited::Posts, 1).await).unwrap();
    let (_, seconds) = refused.again.unwrap();
    bench.engine.db.shift_clock(Duration::from_secs(seconds));
    assert_eq!(used(&bench).await.posts.used, 0);
    assert!(reached(take(&bench, Limited::Posts, 10).await).is_none());
    let usage = used(&bench).await;
    assert_eq!((usage.posts.used, usage.posts_in_all), (10, 20));
}

#[sqlx::test(migrations = "../migrations")]
async fn going_west_brings_no_day_back(pool: PgPool) {
    let bench = bench(pool).await;
    move_to(&bench, "Pacific/Kiritimati").await;
    assert!(reached(take(&bench, Limited::Posts, 10).await).is_none());
    move_to(&bench, "Pacific/Niue").await;
    assert!(reached(take(&bench, Limited::Posts, 1).await).is_some());
    move_to(&bench, "Pacific/Kiritimati").await;
    assert!(reached(take(&bench, Limited::Posts, 1).await).is_some());
}

#[sqlx::test(migrations = "../migrations")]
async fn a_tenant_that_is_not_there_uses_nothing(pool: PgPool) {
    let mut bench = bench(pool).await;
    bench.execute("update tenants set erasing_at = now() where id = $1", bench.tenant_id.0).await;
    assert!(matches!(take(&bench, Limited::Images, 1).await, Err(UsageError::NoTenant)));
    bench.tenant_id = TenantId::new();
    assert!(matches!(take(&bench, Limited::Images, 1).await, Err(UsageError::NoTenant)));
}

/// Requests a calendar of three posts, which needs four texts.
async fn calendar(bench: &Bench) -> Result<(CalendarId, JobId), UsageError> {
    let month = NaiveDate::from_ymd_opt(2027, 2, 1).unwrap();
    let mut tx = bench.engine.db.tenant(bench.tenant_id).await?;
    let id = calendars::insert(&mut tx, bench.tenant_id, month, "Valentine", 3).await?;
    reserve::reserve(&mut tx, &bench.engine.services.plans, bench.tenant_id, id, 3).await?;
    tx.commit().await?;
    Ok((id, bench.enqueue(&GenerateCalendar { calendar_id: id }).await))
}

#[sqlx::test(migrations = "../migrations")]
async fn what_a_calendar_will_use_is_counted_when_it_is_asked_for_and_once(pool: PgPool) {
    let bench = bench(pool).await;
    calendar(&bench).await.unwrap();
    let (id, _) = calendar(&bench).await.unwrap();
    assert_eq!(used(&bench).await.generations.used, 8);
    assert!(matches!(calendar(&bench).await, Err(UsageError::Reached(_))));
    bench.drain().await;
    bench.enqueue(&GenerateCalendar { calendar_id: id }).await;
    bench.drain().await;
    assert_eq!(used(&bench).await.generations.used, 8);
    assert_eq!(bench.sandbox.calls("chat_completion").await, 8);
}

#[sqlx::test(migrations = "../migrations")]
async fn what_was_not_written_is_given_back_and_counted_when_it_is_written_after_all(pool: PgPool) {
    let bench = bench(pool).await;
    bench.sandbox.fault("chat_completion", json!({ "scenario": "refusal" })).await;
    let (_, plan) = calendar(&bench).await.unwrap();
    bench.drain().await;
    assert_eq!((bench.job(plan).await.state, used(&bench).await.generations.used), (JobState::Discarded, 0));
    bench.sandbox.fault("chat_completion", json!({ "scenario": "refusal", "nth": 3 })).await;
    bench.retry(plan).await;
    bench.drain().await;
    assert_eq!(used(&bench).await.generations.used, 3, "a plan and two captions");
    let mut tx = bench.engine.db.system().await.unwrap();
    let caption: uuid::Uuid =
        sqlx::query_scalar("select id from job_history where kind = 'write_caption' and state = 'discarded'")
            .fetch_one(&mut *tx)
            .await
            .unwrap();
    drop(tx);
    bench.retry(JobId(caption)).await;
    bench.drain().await;
    assert_eq!((used(&bench).await.generations.used, used(&bench).await.generations_in_all), (4, 4));
}

#[sqlx::test(migrations = "../migrations")]
async fn a_calendar_that_is_cancelled_gives_everything_back(pool: PgPool) {
    let bench = bench(pool).await;
    let (_, job) = calendar(&bench).await.unwrap();
    let mut tx = bench.engine.db.system().await.unwrap();
    crate::engine::ledger::cancel(&mut tx, bench.engine.kinds, job).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!((used(&bench).await.generations.used, used(&bench).await.generations_in_all), (0, 0));
}

#[sqlx::test(migrations = "../migrations")]
async fn calendars_that_are_cancelled_and_retried_are_counted_again_up_to_the_limit(pool: PgPool) {
    let bench = bench(pool).await;
    let mut made = Vec::new();
    for _ in 0..3 {
        let (id, job) = calendar(&bench).await.unwrap();
        let mut tx = bench.engine.db.system().await.unwrap();
        crate::engine::ledger::cancel(&mut tx, bench.engine.kinds, job).await.unwrap();
        tx.commit().await.unwrap();
        made.push((id, job));
    }
    for (_, job) in &made {
        bench.retry(*job).await;
    }
    bench.drain().await;
    assert_eq!((used(&bench).await.generations.used, bench.sandbox.calls("chat_completion").await), (8, 8));
    let mut failed = Vec::new();
    for (id, job) in made {
        let mut tx = bench.engine.db.tenant(bench.tenant_id).await.unwrap();
        let calendar = calendars::get(&mut tx, id).await.unwrap().unwrap();
        if bench.job(job).await.state == JobState::Discarded {
            failed.push((bench.error_class(job).await, calendar.state, calendar.error.unwrap()));
        } else {
            assert_eq!(calendar.state.name(), "ready");
        }
    }
    assert_eq!(failed.len(), 1);
    assert_eq!((failed[0].0.as_str(), failed[0].1.name()), ("limit", "failed"));
    assert!(failed[0].2.contains("allows 10 texts by AI a month") && failed[0].2.contains("retry the job from"));
}

#[sqlx::test(migrations = "../migrations")]
async fn captions_that_are_retried_are_counted_up_to_the_limit(pool: PgPool) {
    let bench = bench(pool).await;
    for nth in 2..=4 {
        bench.sandbox.fault("chat_completion", json!({ "scenario": "refusal", "nth": nth })).await;
    }
    calendar(&bench).await.unwrap();
    bench.drain().await;
    assert!(reached(take(&bench, Limited::Generations, 8).await).is_none());
    let mut tx = bench.engine.db.system().await.unwrap();
    let captions: Vec<uuid::Uuid> =
        sqlx::query_scalar("select id from job_history where kind = 'write_caption' and state = 'discarded'")
            .fetch_all(&mut *tx)
            .await
            .unwrap();
    drop(tx);
    assert_eq!((captions.len(), used(&bench).await.generations.used), (3, 9));
    for &caption in &captions {
        bench.retry(JobId(caption)).await;
    }
    bench.drain().await;
    let mut states = Vec::new();
    for caption in captions {
        states.push(bench.job(JobId(caption)).await.state);
    }
    states.sort();
    assert_eq!(
        (states, used(&bench).await.generations.used),
        (vec![JobState::Completed, JobState::Discarded, JobState::Discarded], 10)
    );
}
