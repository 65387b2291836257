//! An end-to-end exam with random faults in all places at once. It checks that nothing is published
//! twice, nothing is lost, and every shown state is true at each moment.

mod plan;
mod stage;
mod verdict;
mod watch;

use std::time::Duration;

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use sqlx::PgPool;
use tests::{TestApp, fault_trial::small_or_long, optional_setting, servers::PrivateRedis};

use self::{stage::Stage, watch::Watch};

#[sqlx::test(migrations = "../migrations")]
async fn exam_of_everything_that_may_go_wrong_at_once(pool: PgPool) {
    let asked = optional_setting("FAULT_SEED").map(|seed| seed.parse().expect("a number"));
    let seed = asked.unwrap_or_else(|| small_or_long(701, rand::random()));
    println!("exam: FAULT_SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let redis = PrivateRedis::start().await;
    let app = TestApp::with_redis(pool, &redis.url).await;
    let mut stage = Stage::prepare(app, &mut random, small_or_long(24, 200)).await;
    let watch = Watch::start(stage.viewer.clone());
    let flushed_after = Duration::from_millis(random.random_range(100..3_000));
    let (interrupted, ()) = tokio::join!(stage.begin(&mut random), async {
        tokio::time::sleep(flushed_after).await;
        redis.command(&["FLUSHALL"]).await;
    });
    stage.see_to_the_end().await;
    let seen = watch.stop().await;
    let verdict = verdict::reach(&stage, &interrupted, &seen).await;
    println!("{}", verdict.told);
    assert!(verdict.wrong.is_empty(), "FAULT_SEED={seed}: {:#?}", verdict.wrong);
}
