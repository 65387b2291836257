//! The page of figures: what it draws, and its filters.

use sqlx::PgPool;
use tests::TestApp;

use super::{browser::operator_cookie_of, stage, visits::get};

#[sqlx::test(migrations = "../migrations")]
async fn figures_are_drawn_and_stand_in_a_table(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let cookie = operator_cookie_of(&app, "ops@example.com").await;
    let (status, html) = get(&app, &cookie, "/jobs/stats").await;
    assert!(status == 200 && html.contains("Nothing ended in this time") && !html.contains("<figure"), "{html}");
    stage::fill(&app).await;
    let (_, html) = get(&app, &cookie, "/jobs/stats").await;
    assert_eq!((html.matches("<figure").count(), html.matches("<title>").count()), (3, 1 + 3 * 24), "a step each");
    assert!(html.contains("aria-label=\"Work done. Done: ") && !html.contains("style="), "{html}");
    let table = html.split_once("Figures by time").unwrap().1.split_once("</table>").unwrap().0;
    assert_eq!(table.matches("<tr>").count(), 1 + 24);
    assert!(html.contains("/jobs/stats?kind=write_caption\">Write caption</a>"), "{html}");
    assert!(!html.contains("The newest figures are from"), "{html}");
    let lately = "delete from job_figures where starts_at > engine_now() - interval '1 h' and $1::uuid is not null";
    app.bench.execute(lately, app.bench.tenant_id.0).await;
    let (_, html) = get(&app, &cookie, "/jobs/stats").await;
    assert!(html.contains("The newest figures are from"), "{html}");
}

#[sqlx::test(migrations = "../migrations")]
async fn the_address_names_what_is_shown(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let cookie = operator_cookie_of(&app, "ops@example.com").await;
    stage::fill(&app).await;
    let (_, all) = get(&app, &cookie, "/jobs/stats?span=week").await;
    let (_, one) = get(&app, &cookie, "/jobs/stats?span=week&queue=ai&kind=write_caption").await;
    assert!(all.contains("By kind") && !one.contains("By kind"), "{one}");
    for chosen in ["\"week\" selected", "\"ai\" selected", "\"write_caption\" selected"] {
        assert!(one.contains(chosen), "{chosen}: {one}");
    }
    let done = |html: &str| html.split_once("Done: ").unwrap().1.split_once(" in all").unwrap().0.to_owned();
    assert_ne!(done(&all), done(&one));
    let (_, none) = get(&app, &cookie, "/jobs/stats?queue=oauth").await;
    assert!(none.contains("Nothing of this sort ended"), "{none}");
    let (status, wrong) = get(&app, &cookie, "/jobs/stats?span=year").await;
    assert!(status == 400 && wrong.contains("should be one of the list"), "{wrong}");
}
