//! The stage of an exam: the tenants, their posts and the workers, from the first post to the last
//! wait.

use std::{collections::BTreeMap, time::Duration};

use chrono::{DateTime, Utc};
use jobs::{
    connections,
    engine::JobState,
    ids::{AccountId, AssetId},
    tenants,
    testing::Bench,
};
use rand::{RngExt as _, rngs::StdRng};
use serde_json::{Value, json};
use tests::{TestApp, Worker, ledger, until};
use uuid::Uuid;

use super::{
    plan::{self, Trick, World, merged, one_of},
    watch::{Shown, Viewer},
};

/// People with their Pages: two tenants share one Page.
const PEOPLE: [(&str, &str); 3] = [("11", "101"), ("12", "101"), ("13", "103")];

/// The texts of posts, with characters that networks alter.
const TEXTS: [&str; 6] = [
    "Soup of the day",
    "Two  for one\non Tuesday \u{2764}\u{fe0f}",
    "Caf\u{e9} open: https://example.com/menu?id=7&utm_source=fb",
    "  Fresh\u{200b}pasta, handmade  ",
    "Line one\r\nline two",
    "Cre\u{300}me bru\u{302}le\u{301}e for all",
];

/// The shortest jump of the clock.
const SHORTEST_JUMP: Duration = Duration::from_mins(1);

/// The most jumps of the clock. Every post of an exam ends within them.
const MOST_JUMPS: usize = 80;

/// A post to create.
#[derive(Debug, Clone)]
struct Wish {
    tenant: usize,
    text: String,
    asset_id: Option<AssetId>,
}

/// Tenants with an account each, a world, and posts to create.
#[derive(Debug)]
pub(super) struct Stage {
    app: TestApp,
    pub(super) viewer: Viewer,
    pub(super) world: World,
    /// The faults of the first calls with a text, by its marker.
    pub(super) tricks: BTreeMap<String, Vec<Trick>>,
    benches: Vec<(Bench, AccountId)>,
    wishes: Vec<Wish>,
    workers: Vec<Worker>,
}

impl Stage {
    pub(super) async fn prepare(app: TestApp, random: &mut StdRng, posts: usize) -> Self {
        let people: Vec<Value> = PEOPLE
            .iter()
            .map(|(id, page)| json!({ "id": id, "name": "Ada", "pages": [{ "id": page, "name": "Aurora" }] }))
            .collect();
        app.bench.sandbox.control("people", json!({ "people": people })).await;
        let mut benches = Vec::new();
        for (number, (person, _)) in PEOPLE.iter().enumerate() {
            let mut tx = app.bench.engine.db.system().await.unwrap();
            let email = format!("tenant{number}@example.com");
            let tenant_id =
                tenants::store::insert(&mut tx, "Aurora", &email, tenants::plans::Plan::Pro).await.unwrap().id;
            tx.commit().await.unwrap();
            app.bench.sandbox.control("login", json!({ "person_id": person })).await;
            let bench = app.bench.beside(tenant_id);
            let account_id = bench.connect_page().await;
            benches.push((bench, account_id));
        }
        let viewer = Viewer {
            api_url: app.url.clone(),
            key: app.key.clone(),
            control_url: format!("{}/control", app.bench.sandbox.base),
            client: reqwest::Client::builder().no_proxy().build().unwrap(),
            tenants: benches
                .iter()
                .zip(PEOPLE)
                .map(|((bench, _), (_, page))| (bench.tenant_id, page.to_owned()))
                .collect(),
            widths: BTreeMap::new(),
        };
        let world = plan::world(random);
        println!("exam: {world:?}");
        let (tricks, wishes, workers) = (BTreeMap::new(), Vec::new(), Vec::new());
        let mut stage = Self { app, viewer, world, tricks, benches, wishes, workers };
        while stage.wishes.len() < posts {
            stage.wish(random).await;
        }
        stage.wishes.truncate(posts);
        stage
    }

    /// Adds one post or two posts with one text. Two belong to one tenant or to two on one Page,
    /// with equal or different pictures.
    async fn wish(&mut self, random: &mut StdRng) {
        let marker = format!("[k{}]", self.tricks.len());
        let text = format!("{} {marker}{}", one_of(random, &TEXTS), one_of(random, &["", " ", "\n#pizza"]));
        let tenant = random.random_range(0..PEOPLE.len());
        let other = if tenant < 2 && random.random() { 1 - tenant } else { tenant };
        let posts: &[(usize, Option<u32>)] = match random.random_range(0..11) {
            0 | 1 => &[(tenant, None), (other, None)],
            2 => &[(tenant, Some(0)), (other, Some(0))],
            3 | 4 => &[(tenant, Some(0)), (other, Some(1))],
            5 => &[(tenant, None), (other, Some(0))],
            6..=8 => &[(tenant, Some(0))],
            _ => &[(tenant, None)],
        };
        self.tricks.insert(marker, posts.iter().map(|_| plan::trick(random)).collect());
        let first_width = u32::try_from(400 + self.viewer.widths.len()).unwrap();
        for &(tenant, picture) in posts {
            let mut asset_id = None;
            if let Some(picture) = picture {
                let width = first_width + 100 * picture;
                let asset = self.benches[tenant].0.picture_as_wide_as(width).await;
                self.viewer.widths.insert(asset.0, width.into());
                asset_id = Some(asset);
            }
            self.wishes.push(Wish { tenant, text: text.clone(), asset_id });
        }
    }

    /// Plans the faults, creates the posts and kills a worker. Returns the deliveries that were in
    /// progress when it died.
    pub(super) async fn begin(&mut self, random: &mut StdRng) -> Vec<String> {
        let sandbox = &self.app.bench.sandbox;
        sandbox.control("switches", self.world.switches.clone()).await;
        sandbox.control("clock", json!({ "skew_seconds": self.world.skew_seconds })).await;
        for (marker, tricks) in &self.tricks {
            for (nth, trick) in (1..).zip(tricks).filter(|(_, trick)| !trick.fault.is_null()) {
                let place = json!({ "containing": marker, "nth": nth });
                sandbox.fault("publish_feed", merged(trick.fault.clone(), &place)).await;
            }
        }
        for (operation, fault) in &self.world.reads {
            sandbox.fault(operation, fault.clone()).await;
        }
        self.plant(random).await;
        let offline = self.begin_offline(random).await;
        let points = ["claimed", "started", "before_sent", "sent", "answered", "before_record", "recorded"];
        let plan = format!("{}:kill@{}", one_of(random, &points), random.random_range(1..=4));
        let is_planned = random.random::<bool>();
        let settings: &[(&str, &str)] = if is_planned { &[("LINECOOK_FAILPOINTS", &plan)] } else { &[] };
        println!("exam: {}", if is_planned { &plan } else { "killed at some time" });
        let victim = self.app.launch(settings);
        for wish in &self.wishes {
            self.publish(wish).await;
        }
        if is_planned {
            // A worker that does not reach the failpoint is killed on drop.
            let _ = tokio::time::timeout(Duration::from_secs(5), victim.dies()).await;
        } else {
            let killed_after = Duration::from_millis(random.random_range(200..4_000));
            tokio::time::sleep(killed_after).await;
            victim.kill().await;
        }
        let under_way = |shown: &Shown| shown.state == "submitting";
        let interrupted = self.viewer.shown().await.into_iter().filter(under_way).map(|shown| shown.id).collect();
        self.start_workers().await;
        if let Some(worker) = offline {
            worker.terminate().await;
        }
        interrupted
    }

    /// Plants equal texts of other authors, on our Pages and at about the same time.
    async fn plant(&self, random: &mut StdRng) {
        for wish in &self.wishes {
            if !self.world.strangers.is_empty() && random.random_ratio(1, 5) {
                let stranger = self.world.strangers[random.random_range(0..self.world.strangers.len())].clone();
                let offset_seconds = random.random_range(0..8);
                let post = json!({
                    "page_id": PEOPLE[wish.tenant].1, "message": wish.text, "offset_seconds": offset_seconds,
                });
                self.app.bench.sandbox.control("posts", merged(post, &stranger)).await;
            }
        }
    }

    /// Starts, in one case of three, a worker that cannot connect to the provider.
    async fn begin_offline(&self, random: &mut StdRng) -> Option<Worker> {
        let nowhere = [("META_GRAPH_URL", "http://127.0.0.1:1/graph"), ("WORKER_QUEUES", "posting:2")];
        if random.random_ratio(1, 3) { Some(self.app.worker(&nowhere).await) } else { None }
    }

    async fn publish(&self, wish: &Wish) {
        let (bench, account_id) = &self.benches[wish.tenant];
        let body = json!({
            "tenant_id": bench.tenant_id.0, "account_ids": [account_id.0], "caption": wish.text,
            "asset_id": wish.asset_id.map(|id| id.0),
        });
        let (status, body) = self.app.post("/api/v1/posts/create", body).await;
        assert_eq!(status, 202, "{body}");
    }

    async fn start_workers(&mut self) {
        self.workers = vec![self.app.worker(&[]).await, self.app.worker(&[]).await];
    }

    /// Moves the clock to the end of each wait and reconnects Pages, until no job waits except for
    /// a person's decision.
    pub(super) async fn see_to_the_end(&mut self) {
        for _ in 0..MOST_JUMPS {
            self.rest().await;
            if self.reconnect().await {
                self.rest().await;
            }
            let db = &self.app.bench.engine.db;
            let Some(wait) = ledger::next_due(db).await.unwrap() else {
                let open = ledger::list_open(db, Some(Uuid::nil())).await.unwrap();
                let stuck: Vec<_> = open.iter().filter(|(kind, ..)| kind == "publish_post").collect();
                assert!(stuck.is_empty(), "nothing will ever end these: {stuck:?}");
                return;
            };
            for worker in self.workers.drain(..) {
                worker.terminate().await;
            }
            // This wait comes after the workers ended, because they call the provider until then.
            self.wait_for_the_provider().await;
            self.app.shift_clock(wait.max(SHORTEST_JUMP));
            self.start_workers().await;
        }
        panic!("it does not end: {:?}", ledger::list_open(&self.app.bench.engine.db, None).await);
    }

    /// Waits until nothing is due.
    async fn rest(&self) {
        let db = &self.app.bench.engine.db;
        until("nothing is due", Duration::from_mins(2), async || {
            (ledger::count_due(db).await.unwrap() == 0).then_some(())
        })
        .await;
    }

    /// Reconnects the Page of each tenant that needs it, and returns true if one did.
    async fn reconnect(&self) -> bool {
        let mut was_asked = false;
        for ((bench, _), (person, _)) in self.benches.iter().zip(PEOPLE) {
            let mut tx = bench.engine.db.tenant(bench.tenant_id).await.unwrap();
            let accounts = connections::store::list_accounts(&mut tx, bench.tenant_id).await.unwrap();
            drop(tx);
            if accounts[0].status == connections::store::AccountStatus::NeedsReauth {
                was_asked = true;
                self.app.bench.sandbox.control("login", json!({ "person_id": person })).await;
                let job = bench.begin_login().await;
                until("the Page is connected", Duration::from_mins(1), async || {
                    (bench.job(job).await.state == JobState::Completed).then_some(())
                })
                .await;
            }
        }
        was_asked
    }

    /// Waits until the provider has handled all calls and shows their posts, because the test
    /// cannot move the provider's clock.
    async fn wait_for_the_provider(&self) {
        until("the provider shows what it has", Duration::from_mins(1), async || {
            let (calls, posts) = (self.viewer.control("calls").await, self.viewer.control("effects").await);
            let clock = self.viewer.control("clock").await;
            let time = |value: &Value| value.as_str().unwrap().parse::<DateTime<Utc>>().unwrap();
            let is_shown = |post: &Value| time(&post["visible_from"]) <= time(&clock["now"]);
            (calls["under_way"] == 0 && posts["items"].as_array().unwrap().iter().all(is_shown)).then_some(())
        })
        .await;
    }
}
