mod older;
mod people;
mod state;
mod tracing_output;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use url::Url;

use super::{Failure, block_on, sound_policy};
use crate::api::{self, Api, Role};
use crate::clock::Clock;
use crate::contents::MasterKey;
use crate::entra::{EntraAccounts, EntraSync};
use crate::events::Author;
use crate::forward::Standings;
use crate::jwks::KeySets;
use crate::key_usage;
use crate::ledger::Calendar;
use crate::link::{Link, LinkAddress, LinkPlace};
use crate::log::archive::Archiving;
use crate::mail::Mail;
use crate::objects::{self, Objects};
use crate::people::watch as directory;
use crate::policy_file::PolicyFile;
use crate::provisioning::accounts::Accounts;
use crate::push::Push;
use crate::report::schedule::Scheduler;
use crate::settings::{Ground, LiveSettings};
use crate::snapshot::SnapshotHub;
use crate::store::state_marks::{self, Shared};
use crate::store::{self, Store, policies, reserve, units};
use crate::vitals::{Kind, Pulse};
use crate::writer::{Post, Writer};
use crate::{alerts, contents, managed_identity, secret_keeper, siem};
use people::People;
pub(super) use state::{CHECKPOINTS, PUBLIC_KEY, holds_state, opener, random, read_public_key};
use state::{CONTENTS_KEY, LOG_KEY, PEPPER, PUSH_KEY, State};
use tracing_output::LogFormat;

/// How long streams and requests under way may take after SIGTERM.
const GRACE: Duration = Duration::from_secs(3);

/// See [`Arguments::reserve`].
const RESERVE_MIB: u64 = reserve::DEFAULT_BYTES / 1024 / 1024;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The policy file
    #[arg(long, value_name = "FILE", default_value = "sekisho.yaml")]
    policy: PathBuf,
    /// The database: `sqlite:FILE` or a PostgreSQL URL
    #[arg(
        long,
        value_name = "URL",
        env = "SEKISHO_DB",
        hide_env_values = true,
        default_value = "sqlite:sekisho.db"
    )]
    db: String,
    /// Where the sidecar keeps what must not be in the database: the log's signing key, the
    /// secret under which subscription keys are hashed, the key under which the keys of kept bodies
    /// are encrypted, the key that opens encrypted files of people, and a second copy of the checkpoints. Made on first start
    #[arg(long, value_name = "DIR", default_value = "state")]
    state: PathBuf,
    /// Where the REST API listens
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    api: SocketAddr,
    /// The URL at which others reach the REST API: a sidecar that stands by sends there
    /// whoever wants to change something [default: http:// and the address of --api]
    #[arg(long, value_name = "URL")]
    api_url: Option<Url>,
    /// Where Link listens: for the gateways alone, so a loopback address, a Unix socket or a
    /// network of their own. A sidecar that stands by refuses connections there
    #[arg(
        long,
        value_name = "ADDRESS|unix:PATH",
        default_value = "127.0.0.1:9902"
    )]
    link: LinkAddress,
    /// A folder to which the audit log is archived, in the layout of C2SP tlog-tiles, best on
    /// another disk: it can be checked without the database. At most a minute behind
    #[arg(long, value_name = "DIR")]
    archive: Option<PathBuf>,
    /// Disk space beside an SQLite database, in MiB, that is kept for the ends of calls: when the
    /// disk is full they end in it, and no new ones are admitted. 0 keeps none
    #[arg(long, value_name = "MIB", default_value_t = RESERVE_MIB)]
    reserve: u64,
    /// Where provider credentials are written for Envoy: the directory given to `render envoy
    /// --secrets`. What changes in a `secret_file` is there a second later. Without it, `sekisho
    /// secrets write` writes them
    #[arg(long, value_name = "DIR", env = "SEKISHO_SECRETS")]
    secrets: Option<PathBuf>,
    /// How the sidecar's own log on standard error is written; SEKISHO_LOG says how much
    /// (`info`, `sekisho=debug`, ...)
    #[arg(long, value_enum, default_value_t = LogFormat::Plain)]
    log_format: LogFormat,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    tracing_output::start(arguments.log_format)?;
    // The only one in this program; the second caller would get an error.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let policy = sound_policy(&arguments.policy)?;
    block_on(serve(arguments, policy))
}

async fn serve(arguments: &Arguments, file: PolicyFile) -> Result<(), Failure> {
    let clock = Clock::system();
    let state = State::open(&arguments.state)?;
    if let Some(file) = store::sqlite_file(&arguments.db) {
        reserve::make_way(&file)?;
    }
    let store = Store::open(&arguments.db).await?;
    let pushing = file.sections.push.is_some();
    let push_key = match pushing {
        true => Some(state::push_key(&arguments.state)?),
        false => None,
    };
    let push_secret = push_key.as_ref().map(|(_, secret)| secret.as_slice());
    same_state(&store, &state, push_secret).await?;
    let policy = Arc::new(file.policy);
    let calendar = Calendar::new(&policy.time_zone)?;
    let policy_json = file.whole;
    let sections = file.sections;
    let settings = settings_over(&policy_json)?;
    settings.refresh(&store).await?;
    tokio::spawn(settings.clone().keep_up(store.clone()));
    siem::check(&sections.siem, &clock)?;
    let entra = sections
        .entra
        .as_ref()
        .map(|config| EntraAccounts::new(config, &clock));
    let entra = entra.transpose()?;
    let mail = sections.mail.clone();
    let mail = mail.map(|settings| Mail::new(settings, &policy.organisation, &clock));
    let mail = mail.transpose()?;
    if let Some(mail) = &mail {
        mail.follow(&settings);
    }
    let push = sections.push.clone().zip(push_key);
    let push = push.map(|(settings, (key, _))| Push::new(settings, key, &clock));
    let push = push.transpose()?;
    alerts::check(&sections.alerts, &clock)?;
    let files = sections.people.pickup.as_ref();
    let files = files.map(|pickup| Objects::open(&pickup.place, objects::environment()));
    let files = files.transpose()?;
    if let Some(dir) = &arguments.secrets {
        secret_keeper::write(&policy, dir)?;
        tokio::spawn(secret_keeper::keep(Arc::clone(&policy), dir.clone()));
        managed_identity::keep(&policy, dir, |name| std::env::var(name).ok(), &clock)?;
    }
    let hub = SnapshotHub::new(Arc::clone(&policy), file.json, state.pepper.clone());
    let pushed = directory::push_all(&store, &hub, &calendar, &clock).await?;
    let key_sets = KeySets::start(&store, &hub, &clock).await?;
    let no_link = |error: io::Error| {
        Failure::because(format_args!(
            "Link cannot listen on {:?}: {error}",
            arguments.link
        ))
    };
    let link_place = LinkPlace::take(&arguments.link).map_err(no_link)?;
    let api_listener = TcpListener::bind(arguments.api).await.map_err(|error| {
        Failure::because(format_args!(
            "the API cannot listen on {}: {error}",
            arguments.api
        ))
    })?;
    tokio::spawn(directory::watch(
        store.clone(),
        hub.clone(),
        calendar.clone(),
        clock.clone(),
        pushed,
    ));

    tokio::spawn(key_usage::keep_up(store.clone(), calendar.clone()));

    let (stop, _) = watch::channel(false);
    let (role, watched) = watch::channel(Role::Standby);
    let tenant = entra.as_ref().zip(sections.entra.as_ref());
    let tenant = tenant.map(|(accounts, config)| {
        let (graph, tenant) = (accounts.graph().clone(), config.tenant.clone());
        let (calendar, clock) = (calendar.clone(), clock.clone());
        EntraSync::new(graph, tenant, store.clone(), hub.clone(), calendar, clock)
    });
    let api = Api::new(
        store.clone(),
        hub.clone(),
        clock.clone(),
        calendar.clone(),
        Some(key_sets.clone()),
        state.pepper,
        settings.clone(),
    );
    if let Some(tenant) = &tenant {
        api.with_tenant(tenant.clone());
    }
    if let Some(push) = &push {
        api.push_with(push.clone());
    }
    let router = api::router(api.clone().with_role(watched));
    let router = router.into_make_service_with_connect_info::<SocketAddr>();
    let served = axum::serve(api_listener, router).with_graceful_shutdown(stopped(&stop));
    let mut rest = tokio::spawn(async move { served.await });
    let (mut terminate, mut interrupt) = (
        signal(SignalKind::terminate())?,
        signal(SignalKind::interrupt())?,
    );

    let public = state.log_key.verifying_key();
    let contents_key = MasterKey::new(*state.contents_key);
    api.with_contents_key(contents_key.clone());
    let post = Post {
        policy: Arc::clone(&policy),
        clock: clock.clone(),
        log_key: state.log_key,
        checkpoint_dir: Some(state.checkpoints),
        contents_key: Some(contents_key),
        reserve_bytes: arguments.reserve.saturating_mul(1024 * 1024),
    };
    let api_url = match &arguments.api_url {
        Some(url) => url.as_str().trim_end_matches('/').to_owned(),
        None => format!("http://{}", arguments.api),
    };
    let writer = tokio::select! {
        writer = Writer::stand_by(store.clone(), post, api_url) => writer?,
        ended = &mut rest => return Err(ended_early("the API", ended.map(|outcome| outcome.map_err(Failure::from)))),
        _ = terminate.recv() => return Ok(()),
        _ = interrupt.recv() => return Ok(()),
    };
    let mut author = Author::program("sekisho serve", clock.now(), random()?);
    policies::serve(&store, &policy_json, &mut author).await?;
    take_over_units(&store, &hub, &mut author).await?;
    writer.take_pending().await?;
    let archiving = arguments
        .archive
        .clone()
        .map(|folder| {
            let (origin, clock) = (writer.origin().to_owned(), clock.clone());
            Archiving::start(store.clone(), folder, origin, public, clock)
        })
        .transpose()?;
    if let (Some(archiving), Some(folder)) = (&archiving, &arguments.archive) {
        let folder = folder.display().to_string();
        let pulse = archiving.pulse().clone();
        api.vitals().add(Kind::Archive, folder, pulse);
    }
    let listening = writer.spawn(link_place.listen()).await;
    let link_listener = listening
        .unwrap_or_else(|error| Err(io::Error::other(error)))
        .map_err(no_link)?;
    // The writer has taken over the budgets of the policy: no gateway begins without them.
    directory::push_budgets(&store, &hub).await?;
    let standings = Standings::default();
    let to_siem = &sections.siem;
    siem::start(
        &store,
        &policy,
        to_siem,
        writer.origin(),
        &clock,
        &standings,
    )
    .await?;
    alerts::start(
        &store,
        &calendar,
        (&sections.alerts, &settings, mail.as_ref()),
        &writer,
        &clock,
        &standings,
    )
    .await?;
    api.forward_with(standings);
    if let Some(mail) = &mail {
        mail.start(&store);
        api.mail_with(mail.clone());
    }
    if let Some(push) = &push {
        push.start(&store);
    }
    if policy.keeping.days.is_some() {
        let (store, calendar, clock) = (store.clone(), calendar.clone(), clock.clone());
        let settings = settings.clone();
        tokio::spawn(contents::expiry::keep(store, calendar, clock, settings));
    }
    if !sections.reports.is_empty() {
        let scheduler = Scheduler {
            store: store.clone(),
            policy: Arc::clone(&policy),
            calendar: calendar.clone(),
            clock: clock.clone(),
            mail: mail.clone(),
            schedules: sections.reports.clone(),
        };
        tokio::spawn(scheduler.run(api.vitals().clone()));
    }
    if let Some(retention) = &sections.retention {
        let keeper = older::keeper(
            (&store, &calendar, &clock),
            (&writer, public),
            retention,
            (to_siem, &arguments.state),
            api.vitals(),
        );
        tokio::spawn(keeper.await?.run());
    }
    let people = People {
        store: store.clone(),
        hub: hub.clone(),
        calendar,
        clock: clock.clone(),
        settings: Arc::new(sections.people.clone()),
        live: settings.clone(),
        opener: state.opener,
        mail,
        entra: entra.map(|entra| Arc::new(entra) as Arc<dyn Accounts>),
        files,
    };
    let (desk, pickup) = people.start();
    api.provision_with(desk);
    if let Some(pickup) = pickup {
        api.pick_up_with(pickup);
    }
    let gateways = Pulse::default();
    let link = Link::new(writer.clone(), hub)
        .with_key_sets(key_sets)
        .with_pulse(gateways.clone(), clock.clone());
    api.vitals().add(Kind::Link, "gateways", gateways);
    let mut link = writer.spawn(link_listener.serve(link, stopped(&stop)));
    api.write_with(writer.clone());
    if let Some(tenant) = tenant {
        tokio::spawn(tenant.keep_looking(settings));
    }
    role.send_replace(Role::Active);
    tracing::info!(api = %arguments.api, link = ?arguments.link, log = writer.origin(), "ready");

    tokio::select! {
        // Looked at first: Link ends with the writer, and is not why.
        biased;
        reason = writer.poisoned() => return Err(poisoned(&reason)),
        ended = &mut link => return Err(ended_early("Link", ended.map(|outcome| outcome.map_err(Failure::from)))),
        ended = &mut rest => return Err(ended_early("the API", ended.map(|outcome| outcome.map_err(Failure::from)))),
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("stopping");
    let _ = stop.send(true);
    // Gateways keep their streams as long as they live: what they are owed is in the database.
    let _ = tokio::time::timeout(GRACE, async { tokio::join!(link, rest) }).await;
    // The last records get their checkpoint.
    if writer.tick().await.is_err() {
        return Err(poisoned(&writer.poisoned().await));
    }
    if let Some(archiving) = archiving {
        archiving.finish().await;
    }
    Ok(())
}

/// Departments and titles of the policy file, unless they are the API's.
async fn take_over_units(
    store: &Store,
    hub: &SnapshotHub,
    author: &mut Author,
) -> Result<(), Failure> {
    let (departments, titles) = hub.units_of_file();
    let check = |units: &units::Units| hub.replace_units(units);
    let seeded = units::seed(store, &departments, &titles, author, check).await?;
    seeded.map(|_| ()).map_err(|problems| {
        let problems: Vec<_> = problems.iter().map(ToString::to_string).collect();
        Failure::because(format_args!(
            "departments or titles that were set over the REST API do not fit the policy file: {}",
            problems.join("; ")
        ))
    })
}

/// Settings over what the policy file says of them.
fn settings_over(policy: &str) -> Result<LiveSettings, Failure> {
    let file: serde_json::Value = serde_json::from_str(policy).map_err(Failure::because)?;
    LiveSettings::new(Ground::new(&file)).map_err(|problems| {
        let problems: Vec<_> = problems.iter().map(ToString::to_string).collect();
        Failure::because(problems.join("; "))
    })
}

fn poisoned(reason: &str) -> Failure {
    Failure::because(format_args!(
        "the audit log cannot be written ({reason}); nothing is acknowledged any more"
    ))
}

/// Sidecars on one database need the same keys, which are not in it.
async fn same_state(store: &Store, state: &State, push_key: Option<&[u8]>) -> Result<(), Failure> {
    let log_key = state.log_key.verifying_key();
    let push_key = push_key.map(|secret| Shared {
        name: PUSH_KEY,
        secret,
    });
    let shared = [
        Shared {
            name: LOG_KEY,
            secret: log_key.as_bytes(),
        },
        Shared {
            name: PEPPER,
            secret: &state.pepper,
        },
        Shared {
            name: CONTENTS_KEY,
            secret: state.contents_key.as_slice(),
        },
    ];
    let shared: Vec<_> = shared.into_iter().chain(push_key).collect();
    let differing = state_marks::differing(store, &shared).await?;
    if differing.is_empty() {
        return Ok(());
    }
    Err(Failure::because(format_args!(
        "this database is used with another {}: copy it from the --state folder of the sidecar \
         that is there already",
        differing.join(" and ")
    )))
}

fn stopped(stop: &watch::Sender<bool>) -> impl Future<Output = ()> + Send + 'static {
    let mut stopped = stop.subscribe();
    async move {
        // The sender gone means the same.
        let _ = stopped.wait_for(|stop| *stop).await;
    }
}

fn ended_early<E: std::fmt::Display>(what: &str, ended: Result<Result<(), Failure>, E>) -> Failure {
    match ended {
        Ok(Ok(())) => Failure::because(format_args!("{what} ended by itself")),
        Ok(Err(Failure(reason))) => Failure::because(format_args!("{what} failed: {reason}")),
        Err(error) => Failure::because(format_args!("{what} failed: {error}")),
    }
}
