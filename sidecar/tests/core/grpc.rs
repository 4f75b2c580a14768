//! A real gRPC client from its first batch to the bill.

use std::time::Duration;

use sekisho::link::{LinkAddress, LinkListener};
use sekisho_domain::Micros;
use sekisho_link::v1;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::codegen::http::uri::PathAndQuery;

use crate::world::{Worker, World, hold, usage_of};

type Ups = mpsc::Sender<v1::Up>;
type Downs = tonic::Streaming<v1::Down>;

async fn connect(world: &World) -> (Ups, Downs) {
    connect_until(world, std::future::pending()).await.0
}

async fn connect_until(
    world: &World,
    end: impl Future<Output = ()> + Send + 'static,
) -> ((Ups, Downs), tokio::task::JoinHandle<()>) {
    let address: LinkAddress = "127.0.0.1:0".parse().unwrap();
    let listener = LinkListener::bind(&address).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let link = world.link.clone();
    let server = tokio::spawn(async move { listener.serve(link, end).await.unwrap() });
    let url = format!("http://127.0.0.1:{port}");
    let channel = tonic::transport::Endpoint::new(url)
        .unwrap()
        .connect()
        .await
        .unwrap();
    let mut client = tonic::client::Grpc::new(channel);
    client.ready().await.unwrap();
    let (ups, stream) = mpsc::channel(4);
    let codec = tonic_prost::ProstCodec::<v1::Up, v1::Down>::default();
    let path = PathAndQuery::from_static("/sekisho.link.v1.Link/Open");
    let request = tonic::Request::new(ReceiverStream::new(stream));
    let answer = client.streaming(request, path, codec).await.unwrap();
    ((ups, answer.into_inner()), server)
}

async fn next(downs: &mut Downs) -> v1::Down {
    downs.message().await.unwrap().unwrap()
}

#[tokio::test]
async fn a_call_is_admitted_on_a_lease_completed_billed_and_verified() {
    let world = World::new().await;
    let (ups, mut downs) = connect(&world).await;
    let first = next(&mut downs).await;
    assert_eq!(first.lease_ttl_millis, 10_000);
    let snapshot = first.snapshot.unwrap();
    assert!(snapshot.full && !snapshot.policy.is_empty() && !snapshot.key_pepper.is_empty());

    // The same batches, carried by gRPC.
    let mut worker = Worker::new(&world.link, 1, 1, Vec::new(), world.clock.clone());
    let demands = [("sales-tokens", 2000), ("sales-yen", 1_875_000)];
    let demands = demands.map(|(budget, amount)| v1::Demand {
        budget: budget.into(),
        amount,
    });
    let request = v1::LeaseRequest {
        id: 9,
        demands: demands.into(),
    };
    let up = worker.batch(v1::Up {
        lease_requests: vec![request],
        ..v1::Up::default()
    });
    ups.send(up).await.unwrap();
    let answer = next(&mut downs).await;
    assert_eq!(answer.ack, 1);
    let leases = &answer.lease_answers[0].leases;
    assert_eq!((answer.lease_answers[0].id, leases.len()), (9, 2));
    assert!(leases[0].amount >= 2000 && leases[0].limit == 10_000_000);

    let call = worker.call(1, "sales");
    for entry in [call.admit(leases), call.complete(usage_of(100, 50))] {
        let up = worker.batch(v1::Up {
            entries: vec![entry],
            ..v1::Up::default()
        });
        let seq = up.seq;
        ups.send(up).await.unwrap();
        let answer = next(&mut downs).await;
        assert_eq!((answer.ack, answer.refused.len()), (seq, 0));
    }

    // 100 x 375 + 50 x 1500 yen per million.
    let summary = world.summary().await;
    let sales = summary
        .departments
        .iter()
        .find(|d| d.id.as_str() == "sales");
    let figures = sales.unwrap().figures;
    assert_eq!(
        (figures.requests, figures.cost_micros),
        (1, Micros(112_500))
    );
    assert_eq!(figures.input_tokens.0 + figures.output_tokens.0, 150);
    world.writer.tick().await.unwrap();
    let report = world.verify().await;
    World::sound(&report);
    assert_eq!((report.records, report.signed, report.exported), (2, 2, 1));
    assert!(report.open.is_empty());
}

/// Acknowledgements, in the order in which they come, to the end of the stream.
async fn acknowledgements(downs: &mut Downs) -> Vec<u64> {
    let mut acks = Vec::new();
    while let Some(down) = downs.message().await.unwrap() {
        acks.extend(Some(down.ack).filter(|ack| *ack > 0));
    }
    acks
}

#[tokio::test]
async fn batches_are_acknowledged_in_their_order_also_to_whoever_says_nothing_more() {
    let world = World::new().await;
    let (ups, mut downs) = connect(&world).await;
    let mut worker = world.worker(1);
    let held = hold(&world.writer).await;
    for n in 0..6 {
        let call = worker.call(n, "sales");
        let up = worker.batch(v1::Up {
            entries: vec![call.refuse()],
            ..v1::Up::default()
        });
        ups.send(up).await.unwrap();
    }
    drop(ups);
    drop(held);
    assert_eq!(acknowledgements(&mut downs).await, [1, 2, 3, 4, 5, 6]);
    world.writer.tick().await.unwrap();
    let report = world.verify().await;
    World::sound(&report);
    assert_eq!(report.records, 6);
}

#[tokio::test]
async fn what_the_writer_has_no_time_for_is_not_read() {
    const BATCHES: u64 = 32;
    let world = World::new().await;
    let (ups, mut downs) = connect(&world).await;
    let mut worker = world.worker(1);
    let held = hold(&world.writer).await;
    let mut batches = (0..BATCHES).map(|_| {
        // One of these is as much as may be sent ahead.
        let asked = vec![v1::LeaseReturn {
            budget: "x".repeat(1024 * 1024),
            ..v1::LeaseReturn::default()
        }];
        worker.batch(v1::Up {
            lease_returns: asked,
            ..v1::Up::default()
        })
    });
    let mut sent = 0;
    let mut stuck = None;
    for up in &mut batches {
        match timeout(Duration::from_millis(500), ups.reserve()).await {
            Ok(room) => room.unwrap().send(up),
            Err(_) => {
                stuck = Some(up);
                break;
            }
        }
        sent += 1;
    }
    assert!(sent < BATCHES, "{sent} batches were read");
    drop(held);
    let rest = stuck.into_iter().chain(batches).collect::<Vec<_>>();
    let telling = tokio::spawn(async move {
        for up in rest {
            ups.send(up).await.unwrap();
        }
    });
    let acks = acknowledgements(&mut downs).await;
    assert_eq!(acks, (1..=BATCHES).collect::<Vec<_>>());
    telling.await.unwrap();
}

#[tokio::test]
async fn a_disabled_person_is_known_at_the_gateway_at_once() {
    let world = World::new().await;
    let (_ups, mut downs) = connect(&world).await;
    next(&mut downs).await;
    world.hub.upsert_users(vec![v1::User {
        object_id: "taro".into(),
        active: false,
        ..v1::User::default()
    }]);
    let change = next(&mut downs).await.snapshot.unwrap();
    assert!(!change.full && !change.users[0].active);
}

#[tokio::test]
async fn what_is_not_a_batch_closes_the_stream_and_nothing_else() {
    let world = World::new().await;
    for (up, code) in [
        (v1::Up::default(), tonic::Code::InvalidArgument),
        (
            v1::Up {
                seq: 1,
                ..v1::Up::default()
            },
            tonic::Code::InvalidArgument,
        ),
        (
            Worker::new(&world.link, 1, 0, Vec::new(), world.clock.clone())
                .batch(v1::Up::default()),
            tonic::Code::InvalidArgument,
        ),
        (
            Worker::new(&world.link, 1, 1, Vec::new(), world.clock.clone()).batch(v1::Up {
                entries: vec![v1::Entry::default()],
                ..v1::Up::default()
            }),
            tonic::Code::InvalidArgument,
        ),
    ] {
        let (ups, mut downs) = connect(&world).await;
        next(&mut downs).await;
        ups.send(up).await.unwrap();
        assert_eq!(downs.message().await.unwrap_err().code(), code);
    }
    let mut worker = world.worker(2);
    let call = worker.call(1, "sales");
    worker.entries(vec![call.refuse()]).await;
    World::sound(&world.verify().await);
}

#[tokio::test]
async fn a_sidecar_that_is_asked_to_stop_does_not_wait_for_its_gateways() {
    let world = World::new().await;
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let end = async move {
        let _ = stopped.await;
    };
    let ((_ups, mut downs), server) = connect_until(&world, end).await;
    next(&mut downs).await;
    stop.send(()).unwrap();
    assert!(!matches!(downs.message().await, Ok(Some(_))));
    server.await.unwrap();
}
