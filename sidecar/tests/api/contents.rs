//! Reading what was kept of bodies.

use axum::http::StatusCode;
use sekisho::contents::Extent;
use sekisho::contents::destroy::{Reason, destroy};
use sekisho::events::Author;
use sekisho_link::v1;
use sekisho_link::v1::contents::Half;

use crate::service::{As, Service};
use crate::world::Call;

async fn kept(service: &Service) -> Call {
    let mut worker = service.world.worker(1);
    let call = worker.call(1, "sales");
    let up = v1::Up {
        entries: vec![call.admit(&[]), call.complete_kept(None)],
        contents: vec![
            call.piece(Half::Request, 0, "a prompt"),
            call.piece(Half::Response, 0, "an answer"),
        ],
        ..v1::Up::default()
    };
    worker.send(up).await.unwrap();
    call
}

fn path(call: &Call) -> String {
    format!("/v1/audit/logs/{}/contents", call.id)
}

#[tokio::test]
async fn auditors_alone_read_and_each_reading_is_on_record() {
    let service = Service::new().await;
    let call = kept(&service).await;
    for caller in [As::Administrator, As::NobodySpecial, As::Recorder] {
        let refused = service.get(caller, &path(&call)).await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN);
        let detail = refused.body["detail"].as_str().unwrap();
        assert!(detail.contains("Sekisho.Auditor"), "{detail}");
    }
    let nobody = service.get(As::Nobody, &path(&call)).await;
    assert_eq!(nobody.status, StatusCode::UNAUTHORIZED);
    let events = "/v1/audit/logs/search?event=contents.read";
    let none = service.get(As::Auditor, events).await;
    assert_eq!(none.body["records"].as_array().unwrap().len(), 0);
    let read = service.get(As::Auditor, &path(&call)).await;
    assert_eq!(read.status, StatusCode::OK, "{}", read.text);
    assert_eq!(read.headers["cache-control"], "no-store");
    assert_eq!(read.body["contents"], "redacted");
    assert_eq!(read.body["department"], "sales");
    assert_eq!(read.body["request"]["text"], "a prompt");
    assert_eq!(read.body["response"]["bytes"], 9);
    let told = service.get(As::Auditor, events).await;
    let record = &told.body["records"][0]["record"];
    assert_eq!(record["caller"]["user"], "002");
    assert_eq!(record["event"]["target"], call.id.to_string());
    assert_eq!(record["event"]["after"]["department"], "sales");
    assert!(!told.text.contains("prompt"), "{}", told.text);
}

#[tokio::test]
async fn why_nothing_can_be_read_is_told_apart() {
    let service = Service::new().await;
    let call = kept(&service).await;
    let no_id = service.get(As::Auditor, "/v1/audit/logs/x/contents").await;
    assert_eq!(no_id.status, StatusCode::BAD_REQUEST);
    let mut worker = service.world.worker(2);
    let (unknown, open) = (worker.call(7, "hr"), worker.call(8, "hr"));
    let (bare, refused) = (worker.call(9, "hr"), worker.call(10, "hr"));
    let ended = vec![bare.admit(&[]), bare.complete_kept(None), refused.refuse()];
    worker.entries(ended).await;
    worker.entries(vec![open.admit(&[])]).await;
    let of = async |call: &Call| {
        let answer = service.get(As::Auditor, &path(call)).await;
        (
            answer.status,
            answer.body["detail"].as_str().unwrap().to_owned(),
        )
    };
    let (status, detail) = of(&unknown).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert!(detail.contains("no call with this record id"), "{detail}");
    assert_eq!(of(&open).await.0, StatusCode::CONFLICT);
    for call in [bare, refused] {
        let (status, detail) = of(&call).await;
        assert_eq!(status, StatusCode::NOT_FOUND);
        assert!(detail.contains("nothing was kept"), "{detail}");
    }
    let extent = Extent {
        department: Some("sales".to_owned()),
        before: None,
    };
    let mut author = Author::program("test", service.world.clock.now(), [3; 32]);
    let destroyed = destroy(&service.world.store, &extent, Reason::Shredded, &mut author);
    assert_eq!(destroyed.await.unwrap().records, 1);
    let (status, detail) = of(&call).await;
    assert_eq!(status, StatusCode::GONE);
    assert!(detail.contains("sekisho audit shred"), "{detail}");
    // What was not shown is not on record as read.
    let events = "/v1/audit/logs/search?event=contents.read";
    let none = service.get(As::Auditor, events).await;
    assert_eq!(none.body["records"].as_array().unwrap().len(), 0);
}
