//! No department over its budget, whatever happens.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use clap::Args;
use sekisho::store::Store;
use sekisho::usage::{self, Days, Figures};
use sekisho_test_harness::relay::Relay;
use tokio::process::Command;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::faults;
use crate::load::Clients;
use crate::report::{Report, Spending};
use crate::sidecars::Sidecars;
use crate::site::{FOLLOWED, Limits, MONEY, PAYERS, STREAMS, Site, TOKENS};
use crate::stand_in::StandIn;
use crate::{ChaosError, Place, StoreKind};

const ENVOYS: usize = 4;
const CLIENTS: u64 = 200;
const PEOPLE: usize = 20;

/// How much a second of faults is to spend at most, in tokens of each department: budgets
/// should end well before the faults do, also on a small machine.
const TOKENS_PER_SECOND: u64 = 15_000;
/// The mean price of a token of the load, micro-yen.
const MICROS_PER_TOKEN: u64 = 750;
/// How long the end of the run, without faults, may take to use the rest.
const REST: Duration = Duration::from_secs(90);
/// Nothing has been served for so long: nothing is left that any client could use. Longer than
/// the ten seconds after which a worker that has not come back counts as silent: what it held is free then.
const DRY: Duration = Duration::from_secs(12);

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    place: Place,
    /// Repeats the decisions of an earlier run
    #[arg(long)]
    seed: Option<u64>,
    /// How long faults are made
    #[arg(long, default_value_t = 1.0)]
    minutes: f64,
    /// What keeps the records
    #[arg(long, value_enum, default_value = "sqlite")]
    store: StoreKind,
    /// Where the report goes
    #[arg(long, value_name = "FILE", default_value = "target/chaos/budgets.json")]
    out: PathBuf,
}

/// Whether the promises were kept.
pub(crate) async fn run(arguments: &Arguments) -> Result<bool, ChaosError> {
    let seed = arguments.seed.unwrap_or_else(|| fastrand::u64(..1 << 32));
    let faulty = Duration::from_secs_f64(arguments.minutes.max(0.1) * 60.0);
    let tokens = faulty.as_secs().max(1) * TOKENS_PER_SECOND;
    let limits = Limits {
        tokens,
        micros: tokens * MICROS_PER_TOKEN,
    };
    println!(
        "seed {seed}: {ENVOYS} Envoys, {CLIENTS} clients, {} s of faults",
        faulty.as_secs()
    );
    let (upstream, stand_in) = StandIn::start(seed).await?;
    let site = Site::new(upstream, limits)?;
    let mut sidecars = Sidecars::start(&arguments.place, &site, arguments.store).await?;
    let mut relays = Vec::new();
    let mut envoys = Vec::new();
    for number in 0..ENVOYS {
        let mut links = Vec::new();
        for sidecar in &sidecars.all {
            let relay = Arc::new(Relay::start(sidecar.link).await?);
            links.push(relay.address());
            relays.push(relay);
        }
        let name = format!("envoy-{number}");
        envoys.push(site.envoy(&arguments.place, &name, &links).await?);
    }
    let mut tokens = Vec::new();
    for department in PAYERS {
        let people = (0..PEOPLE).map(|person| site.token(department, person));
        tokens.push(people.collect::<Result<Vec<String>, ChaosError>>()?);
    }
    let clients = Arc::new(Clients {
        gateways: envoys.iter().map(|envoy| envoy.address()).collect(),
        tokens,
        outcomes: Default::default(),
    });

    let began = Instant::now();
    let (stop_clients, clients_stop) = watch::channel(false);
    let mut running = JoinSet::new();
    for number in 0..CLIENTS {
        let seed = seed.wrapping_mul(1_000).wrapping_add(number);
        running.spawn(Arc::clone(&clients).go_on(seed, clients_stop.clone()));
    }
    let (stop_faults, faults_stop) = watch::channel(false);
    let mut wires = JoinSet::new();
    for (number, relay) in relays.iter().enumerate() {
        let seed = seed.wrapping_add(u64::try_from(number).unwrap_or(0));
        wires.spawn(faults::disturb(
            Arc::clone(relay),
            seed,
            faults_stop.clone(),
        ));
    }
    let timer = tokio::spawn(async move {
        tokio::time::sleep(faulty).await;
        stop_faults.send_replace(true);
    });
    let kills = faults::kill(&mut sidecars, &faults_stop).await?;
    let cuts = wires.join_all().await.into_iter().sum();
    timer.abort();
    println!("{kills} kills, {cuts} cuts; now without faults until nothing is left");
    until_dry(&stand_in).await;
    stop_clients.send_replace(true);
    running.join_all().await;
    // Gateways tell of the last ends with their next heartbeat.
    tokio::time::sleep(Duration::from_secs(2)).await;
    drop(envoys);
    // Calls whose end no gateway will ever tell end when their leases do.
    tokio::time::sleep(Duration::from_secs(12)).await;
    sidecars.stop().await?;

    let store = Store::open(sidecars.database()).await?;
    let of_tokens = charged(&store, &site, TOKENS).await?;
    let of_money = charged(&store, &site, MONEY).await?;
    let of_streams = charged(&store, &site, STREAMS).await?;
    let log_is_sound = verify(&arguments.place, &sidecars, &site).await?;
    let served = |payer| {
        let served = stand_in.served(payer);
        let count = |of: fn(&crate::stand_in::Served) -> &std::sync::atomic::AtomicU64| {
            served.map_or(0, |served| of(served).load(Ordering::SeqCst))
        };
        (count(|s| &s.tokens), count(|s| &s.micros))
    };
    let count = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::SeqCst);
    let outcomes = &clients.outcomes;
    let all = [
        &outcomes.answered,
        &outcomes.exhausted,
        &outcomes.unavailable,
        &outcomes.other,
        &outcomes.left,
        &outcomes.broken,
    ];
    let report = Report {
        store: match arguments.store {
            StoreKind::Sqlite => "sqlite",
            StoreKind::Postgres => "postgres",
        },
        seed,
        seconds: began.elapsed().as_secs_f64(),
        tokens: Spending::new(
            limits.tokens,
            0,
            served(0).0,
            of_tokens.input_tokens.0 + of_tokens.output_tokens.0,
        ),
        money: Spending::new(limits.micros, 0, served(1).1, of_money.cost_micros.0),
        streams: Spending::new(
            limits.tokens,
            limits.stream_bound(),
            served(FOLLOWED).0,
            of_streams.input_tokens.0 + of_streams.output_tokens.0,
        ),
        requests: all.iter().map(|counter| count(counter)).sum(),
        answered: count(&outcomes.answered),
        refusals: count(&outcomes.exhausted),
        unavailable: count(&outcomes.unavailable),
        other: count(&outcomes.other),
        left: count(&outcomes.left),
        broken: count(&outcomes.broken),
        kills,
        cuts,
        log_is_sound,
    };
    report.print();
    if let Some(folder) = arguments.out.parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::write(&arguments.out, serde_json::to_vec_pretty(&report)?)?;
    let holds = report.holds();
    if !holds {
        println!(
            "  what the sidecars said and stored is in {}",
            site.keep().display()
        );
    }
    Ok(holds)
}

/// Returns when nothing has been served for a while.
async fn until_dry(stand_in: &StandIn) {
    let began = Instant::now();
    let mut last = (0, began);
    while began.elapsed() < REST && last.1.elapsed() < DRY {
        let served = stand_in
            .by_payer
            .iter()
            .map(|served| served.requests.load(Ordering::SeqCst));
        let served: u64 = served.sum();
        if served != last.0 {
            last = (served, Instant::now());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// What a department was charged, on all days.
async fn charged(store: &Store, site: &Site, department: &str) -> Result<Figures, ChaosError> {
    let days = Days {
        from: jiff::civil::Date::MIN,
        to: jiff::civil::Date::MAX,
    };
    let summary = usage::summary(store, &site.policy.policy, days).await?;
    let departments = summary.departments.into_iter();
    let mut of_department = departments.filter(|usage| usage.id.as_str() == department);
    Ok(of_department
        .next()
        .map(|usage| usage.figures)
        .unwrap_or_default())
}

async fn verify(place: &Place, sidecars: &Sidecars, site: &Site) -> Result<bool, ChaosError> {
    let output = Command::new(std::path::absolute(&place.sekisho)?)
        .args(["audit", "verify", "--checkpoints"])
        .arg(site.path("state-a").join("checkpoints"))
        .env("SEKISHO_DB", sidecars.database())
        .current_dir(site.folder())
        .output()
        .await?;
    if !output.status.success() {
        println!(
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(output.status.success())
}
