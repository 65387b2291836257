//! Connects the restaurants' Facebook Pages.

use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use uuid::Uuid;

use super::Stage;
use crate::{
    browser::{Arrival, Browser},
    restaurant::{PROFILES, Profile},
    say,
    views::Account,
    wait,
};

/// Logs each restaurant's person in, and waits for the account.
pub(super) async fn connect(stage: &Stage, tenants: &[Uuid]) -> anyhow::Result<Vec<Account>> {
    say::heading(2, "Connecting the Facebook Page");
    say::asked(
        "GET /oauth/facebook/authorize gives a one-time link, which the person opens in a browser (a page that names",
    );
    say::asked(
        "the restaurant, cookies, redirects). A job then exchanges the code that Facebook sent back for tokens, and stores them encrypted.",
    );
    let mut accounts = Vec::new();
    for (profile, &tenant_id) in PROFILES.iter().zip(tenants) {
        stage.sandbox.log_in(profile.person_id).await?;
        let link = stage.api.authorize_facebook(tenant_id).await?;
        let mut browser = Browser::new()?;
        ensure!(browser.open(link.clone()).await?.is_accepted(), "the link shows whose accounts it connects to");
        let arrival = browser.press(link).await?;
        say::asked(&format!("{} in the browser:  {}", profile.person, way(&arrival)));
        ensure!(arrival.is_accepted(), "the browser ended at {:?}", arrival.title);
        accounts.push(account(stage, profile, tenant_id).await?);
    }
    Ok(accounts)
}

async fn account(stage: &Stage, profile: &Profile, tenant_id: Uuid) -> anyhow::Result<Account> {
    let filter = format!("tenant_id={tenant_id}&kind=exchange_oauth_code");
    let job = wait::until("the exchange of the code", Duration::from_secs(10), async || {
        Ok(stage.api.list_jobs(&filter).await?.pop())
    });
    let job = stage.api.completed(job.await?.id).await?;
    let mut accounts = stage.api.list_accounts(tenant_id).await?;
    let account = accounts.pop().context("no account is connected")?;
    if !accounts.is_empty() || account.remote_id != profile.page_id || account.status != "active" {
        bail!("another account is connected than the Page of {}: {account:?}", profile.name);
    }
    say::job(&job, &format!("Page {:?} is connected", account.name));
    Ok(account)
}

/// Returns the addresses without their secret or long parts, and the last page's title.
fn way(arrival: &Arrival) -> String {
    let names = arrival.hops.iter().map(|hop| {
        let path = hop.url.path();
        let name = match path.split('/').nth(1) {
            Some("connect") => "/connect/...",
            Some("api") => "back at /callback",
            Some(_) | None => "Facebook's dialog",
        };
        format!("{name} ({})", hop.status.as_u16())
    });
    format!("{}: {:?}", names.collect::<Vec<_>>().join(" -> "), arrival.title)
}
