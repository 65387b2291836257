//! The search box.

use chrono::{DateTime, Utc};
use jobs::{
    ids::TenantId,
    search::{self, Hit, HitType, Wanted},
};
use poem_openapi::{Enum, Object, OpenApi, param::Query, payload::Json};
use uuid::Uuid;

use crate::{
    ApiError,
    api::Tag,
    auth::{Caller, Needs},
    state::AppState,
};

/// The type of an object that was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename = "HitType", rename_all = "snake_case")]
enum TypeName {
    Job,
    Post,
    Picture,
    Account,
}

/// An object that was found.
#[derive(Debug, Object)]
struct HitView {
    #[oai(rename = "type")]
    hit_type: TypeName,
    id: Uuid,
    tenant_id: Uuid,
    /// The kind of a job, the first 120 characters of a post, the name of a picture or an account.
    title: String,
    /// The state of a job, or the status of an account.
    state: Option<String>,
    created_at: DateTime<Utc>,
}

impl From<Hit> for HitView {
    fn from(hit: Hit) -> Self {
        let hit_type = match hit.hit_type {
            HitType::Job => TypeName::Job,
            HitType::Post => TypeName::Post,
            HitType::Picture => TypeName::Picture,
            HitType::Account => TypeName::Account,
        };
        Self {
            hit_type,
            id: hit.id,
            tenant_id: hit.tenant_id.0,
            title: hit.title,
            state: hit.state,
            created_at: hit.created_at,
        }
    }
}

/// The objects that were found, by type, the newest ten of each.
#[derive(Debug, Object)]
struct SearchView {
    items: Vec<HitView>,
}

pub(crate) struct SearchApi {
    pub(crate) state: AppState,
}

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Jobs")]
impl SearchApi {
    /// Find jobs, posts, pictures and connected accounts by an id or by words.
    ///
    /// Words are looked for in the tenant's newest 20,000 objects of each type. Operators find
    /// everything by its id, and jobs by words as in `GET /jobs`; with `tenant_id` they find what
    /// the tenant finds. Types that the caller may not read (`posts:read`, `assets:read`,
    /// `accounts:read`) are left out.
    #[oai(path = "/search", method = "get", operation_id = "search")]
    async fn search(
        &self,
        #[oai(scope = "Needs::JobsRead")] caller: Caller,
        /// An id or a part of a text. Case does not matter.
        #[oai(validator(min_length = 2, max_length = 200))]
        q: Query<String>,
        tenant_id: Query<Option<Uuid>>,
    ) -> Result<Json<SearchView>, ApiError> {
        let scope = caller.scope_of(tenant_id.0)?;
        let tenant_id = match tenant_id.0 {
            Some(named) => Some(TenantId(named)),
            None => caller.own_tenant()?,
        };
        let may = |permission| caller.require(tenant_id.unwrap_or(TenantId::SYSTEM), permission).is_ok();
        let wanted = Wanted {
            jobs: true,
            posts: may("posts:read"),
            pictures: may("assets:read"),
            accounts: may("accounts:read"),
        };
        let mut tx = self.state.db.read(scope).await?;
        let hits = search::search(&mut tx, tenant_id, &q, wanted).await?;
        Ok(Json(SearchView { items: hits.into_iter().map(HitView::from).collect() }))
    }
}
