//! `me` and `me/accounts`: a person, and the Pages on which the person has a role.

use serde_json::{Value, json};

use crate::meta::access::{caller, person_caller};
use crate::meta::call::Call;
use crate::meta::error::GraphError;
use crate::meta::fields::{Field, named, project};
use crate::meta::paging::pick;
use crate::people::{Instagram, Page};
use crate::tokens::Token;
use crate::world::World;

/// Returns the owner of the token: a person or a Page.
pub(crate) fn read_me(world: &mut World, call: &Call) -> Result<Value, GraphError> {
    let token = caller(world, call)?;
    let fields = call.fields()?.unwrap_or_else(|| named(&["name", "id"]));
    let page = token.page_id.as_deref().and_then(|page_id| world.page(&token.user_id, page_id));
    let (node_type, id, name) = match page {
        Some(page) => ("Page", &page.id, &page.name),
        None => ("User", &token.user_id, &world.person(&token.user_id).expect("a live token has a person").name),
    };
    let mut me = project(node_type, &fields, |field| match field.name.as_str() {
        "id" => Some(json!(id)),
        "name" => Some(json!(name)),
        _ => None,
    })?;
    me["id"] = json!(id);
    Ok(me)
}

/// Lists the Pages of a person. The list is empty without `pages_show_list`, and after the access
/// to the person's data has ended.
pub(crate) fn list_accounts(world: &mut World, call: &Call) -> Result<Value, GraphError> {
    let token = person_caller(world, call)?;
    let default = ["access_token", "category", "category_list", "name", "id", "tasks"];
    let fields = call.fields()?.unwrap_or_else(|| named(&default));
    let now = world.now();
    let grant = world.grants.get(&token.user_id);
    let grant = grant.filter(|grant| grant.allows("pages_show_list") && grant.data_access_expires_at() > now);
    let own = world.person(&token.user_id).map_or(&[][..], |person| &person.pages);
    let shown = own.iter().filter(|page| grant.is_some_and(|grant| grant.shows(page)));
    let pages: Vec<(u64, Page)> = (1..).zip(shown.cloned()).collect();
    let (most, empty_middle) = (world.switches.accounts_page_limit, world.switches.empty_middle_page);
    let page = pick(call, pages, most, empty_middle)?;
    page.answer(call, |page| account(world, call, &token, &page, &fields))
}

fn account(world: &mut World, call: &Call, token: &Token, page: &Page, fields: &[Field]) -> Result<Value, GraphError> {
    let now = world.now();
    let is_shared = world.grants.get(&token.user_id).is_some_and(|grant| grant.shares(page));
    let has_token = is_shared && !world.switches.pages_without_token.contains(&page.id);
    let picture = format!("{}/page-picture/{}.jpg", call.base_url, page.id);
    let mut account = project("Page", fields, |field| match field.name.as_str() {
        "id" => Some(json!(page.id)),
        "name" => Some(json!(page.name)),
        "username" => Some(json!(page.username())),
        "access_token" if has_token => Some(json!(world.tokens.page_token(now, token, &page.id))),
        "access_token" => Some(Value::Null),
        "tasks" => Some(json!(page.tasks)),
        "category" => Some(json!("Restaurant")),
        "category_list" => Some(json!([{"id": "273819889375819", "name": "Restaurant"}])),
        "link" => Some(json!(format!("https://www.facebook.com/{}", page.id))),
        "picture" => Some(json!({"data": {"url": picture, "width": 50, "height": 50, "is_silhouette": false}})),
        "instagram_business_account" => {
            let own = page.instagram.as_ref().filter(|it| it.is_business);
            own.map_or(Some(Value::Null), |it| instagram(it, field))
        }
        "connected_instagram_account" => page.instagram.as_ref().map_or(Some(Value::Null), |it| instagram(it, field)),
        _ => None,
    })?;
    account["id"] = json!(page.id);
    Ok(account)
}

fn instagram(instagram: &Instagram, field: &Field) -> Option<Value> {
    let fields = field.nested.clone().unwrap_or_default();
    let mut account = project("IGUser", &fields, |field| match field.name.as_str() {
        "id" => Some(json!(instagram.id)),
        "username" => Some(json!(instagram.username)),
        _ => None,
    })
    .ok()?;
    account["id"] = json!(instagram.id);
    Some(account)
}
