//! The steps of the demo, in order.

mod calendar;
mod connect;
mod killed_worker;
mod ledger;
mod lost_reply;
mod pictures;
mod publish;
mod tenants;

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::Context as _;

use crate::{
    api::Api,
    restaurant::{PROFILES, Restaurant},
    sandbox::Sandbox,
    say,
    workers::Workers,
};

/// The clients, workers and findings of the demo.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) api: Api,
    pub(crate) sandbox: Sandbox,
    pub(crate) workers: Workers,
    /// The folder for the rendered pictures.
    pub(crate) pictures: PathBuf,
}

/// The failed expectations, in words.
#[derive(Debug, Default)]
struct Findings(Vec<String>);

impl Findings {
    fn check(&mut self, held: bool, otherwise: impl FnOnce() -> String) {
        if !held {
            self.0.push(otherwise());
        }
    }
}

/// The duration of each step.
#[derive(Debug)]
struct Times {
    step: Instant,
    taken: Vec<(&'static str, Duration)>,
}

impl Times {
    fn begin() -> Self {
        Self { step: Instant::now(), taken: Vec::new() }
    }

    fn next(&mut self, step: &'static str) {
        self.taken.push((step, self.step.elapsed()));
        self.step = Instant::now();
    }

    fn show(&self) {
        say::line("\n  Times");
        let total = self.taken.iter().map(|(_, took)| *took).sum::<Duration>();
        for (step, took) in self.taken.iter().chain([&("all of it", total)]) {
            say::line(&format!("    {step:<28} {:>5.1} s", took.as_secs_f32()));
        }
    }
}

/// Runs all steps and returns the failed expectations.
pub(crate) async fn walk(stage: &mut Stage) -> anyhow::Result<Vec<String>> {
    let mut times = Times::begin();
    let mut findings = Findings::default();
    let photos = prepare(stage).await?;
    times.next("getting ready");
    let tenants = tenants::make(stage).await?;
    times.next("1. tenants");
    let accounts = connect::connect(stage, &tenants).await?;
    times.next("2. connecting Facebook");
    let rendered = pictures::render(stage, &tenants, photos).await?;
    times.next("3. pictures");
    let months = calendar::write(stage, &tenants).await?;
    times.next("4. a month of posts");
    let restaurants: Vec<Restaurant> = PROFILES
        .iter()
        .zip(tenants)
        .zip(accounts)
        .zip(rendered)
        .zip(months)
        .map(|((((profile, tenant_id), account), rendered), posts)| Restaurant {
            profile,
            tenant_id,
            account,
            rendered,
            posts,
        })
        .collect();
    publish::publish(stage, &restaurants).await?;
    times.next("5. publishing");
    lost_reply::lose_reply(stage, &restaurants[0], &mut findings).await?;
    times.next("6. a lost response");
    killed_worker::kill_worker(stage, &restaurants, &mut findings).await?;
    times.next("7. a killed worker");
    ledger::compare(stage, &restaurants, &mut findings).await?;
    times.next("8. comparing");
    times.show();
    Ok(findings.0)
}

/// Starts a worker and, meanwhile, takes the photos.
async fn prepare(stage: &mut Stage) -> anyhow::Result<Vec<Vec<u8>>> {
    say::line(
        "Two restaurants go from nothing to a published month, through Linecook's HTTP API. The API, the worker,",
    );
    say::line("PostgreSQL and Redis are real. Facebook and the AI are a stand-in with the same API, and it keeps");
    say::line("a ledger of the published posts, to compare with at the end.");
    let photos = PROFILES.iter().map(|profile| tokio::task::spawn_blocking(profile.photo)).collect::<Vec<_>>();
    let (pid, took) = stage.workers.start().await?;
    say::line(&format!("\n  A worker runs (process {pid}, ready after {} ms).", took.as_millis()));
    say::line("  A photo is taken in each kitchen (this program draws it, so no real picture is shipped).");
    let mut taken = Vec::new();
    for photo in photos {
        taken.push(photo.await.context("no photo could be taken")??);
    }
    Ok(taken)
}
