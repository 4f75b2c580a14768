//! Accounts of Entra ID over Microsoft Graph, against a stand-in that holds every request to the
//! published API and misbehaves.

#[path = "entra/accounts.rs"]
mod accounts;
#[path = "entra/misbehaving.rs"]
mod misbehaving;

use std::time::Duration;

use sekisho::clock::{Clock, Hand};
use sekisho::entra::{EntraAccounts, EntraConfig};
use sekisho::policy_file;
use sekisho::provisioning::{
    AccountSpec, Accounts as _, Answer, ObjectId, Order, Outcome, Password, Place, UserName,
};
use sekisho_demo_graph::{Description, Settings, StandIn};
use sekisho_domain::UnixMillis;
use serde_json::{Value, json};

use crate::world::policy_json;

pub(crate) const TENANT: &str = "8f3a1c52-6b7e-4d0f-9a21-5e6c7d8091ab";
pub(crate) const SALES: &str = "11111111-1111-4111-a111-111111111111";
pub(crate) const LEGAL: &str = "22222222-2222-4222-a222-222222222222";
/// A group that nobody here manages.
pub(crate) const CHOIR: &str = "33333333-3333-4333-a333-333333333333";
const APPLICATION: &str = "44444444-4444-4444-a444-444444444444";
const PRINCIPAL: &str = "55555555-5555-4555-a555-555555555555";
const TEXT: &str = "66666666-6666-4666-a666-666666666666";
const IMAGES: &str = "77777777-7777-4777-a777-777777777777";
const NOW: UnixMillis = UnixMillis(1_727_740_800_000);
/// Longer than an account is young.
const LATER_MILLIS: u64 = 10 * 60 * 1_000;

/// A tenant, and the sidecar's way to it.
pub(crate) struct Tenant {
    pub(crate) graph: StandIn,
    accounts: EntraAccounts,
    hand: Hand,
    _secret: tempfile::TempDir,
}

impl Tenant {
    pub(crate) async fn start() -> Self {
        Self::start_with(None).await
    }

    /// With so much patience for an answer.
    pub(crate) async fn start_with(patience: Option<Duration>) -> Self {
        let settings = Settings {
            secret: "hush".to_owned(),
            domains: vec!["example.com".to_owned()],
        };
        let graph = StandIn::new(settings, description()).unwrap();
        for (id, name) in [(SALES, "営業部"), (LEGAL, "法務部"), (CHOIR, "合唱団")] {
            graph.add_group(id, name, json!({}));
        }
        let roles = [(TEXT, "text_apis"), (IMAGES, "image_apis")];
        graph.add_application(PRINCIPAL, APPLICATION, &roles);
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0))
            .await
            .unwrap();
        let at = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(graph.clone().serve(listener));
        let secret = tempfile::tempdir().unwrap();
        let file = secret.path().join("secret");
        std::fs::write(&file, "hush").unwrap();
        let mut policy = policy_json();
        policy["issuers"][0]["tenant"] = TENANT.into();
        policy["entra"] = json!({
            "tenant": TENANT, "client_id": "sekisho", "authority": at, "graph": at,
            "client_secret": {"secret_file": file}, "application": APPLICATION,
        });
        let parsed = policy_file::parse(&policy.to_string()).unwrap();
        let config = EntraConfig {
            patience,
            ..parsed.sections.entra.unwrap()
        };
        let (clock, hand) = Clock::moved(NOW);
        let accounts = EntraAccounts::new(&config, &clock).unwrap();
        Self {
            graph,
            accounts,
            hand,
            _secret: secret,
        }
    }

    pub(crate) async fn carry_out(&self, orders: &[Order]) -> Vec<Outcome> {
        let outcomes = self.accounts.carry_out(orders).await;
        assert_eq!(outcomes.len(), orders.len());
        outcomes
    }

    pub(crate) async fn one(&self, order: Order) -> Outcome {
        self.carry_out(&[order]).await.remove(0)
    }

    pub(crate) async fn create(&self, spec: AccountSpec) -> ObjectId {
        let outcome = self.one(create(spec)).await;
        let Outcome::Done(Answer::Created(id)) = outcome else {
            panic!("{outcome:?}");
        };
        id
    }

    /// The user as it is over there.
    pub(crate) fn user(&self, id: &ObjectId) -> Value {
        let mut users = self.graph.users().into_iter();
        users.find(|user| user["id"] == id.0.as_str()).unwrap()
    }

    /// How often an operation was asked, and how many batches that took.
    fn asked(&self, operation: &str) -> usize {
        let journal = self.graph.journal();
        journal
            .iter()
            .filter(|line| line.operation == operation)
            .count()
    }

    fn is_clean(&self) {
        assert_eq!(self.graph.violations(), []);
    }
}

/// Microsoft's own description, where somebody has it and says where.
fn description() -> Option<Description> {
    let Ok(path) = std::env::var("SEKISHO_GRAPH_DESCRIPTION") else {
        eprintln!(
            "SEKISHO_GRAPH_DESCRIPTION names no OpenAPI description of Microsoft Graph: requests are held to our own schemas alone"
        );
        return None;
    };
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    Some(Description::read(&text).unwrap())
}

pub(crate) fn spec(employee: &str, display_name: &str) -> AccountSpec {
    AccountSpec {
        employee: employee.into(),
        user_name: UserName(format!("u{employee}@example.com")),
        mail_nickname: format!("u{employee}"),
        display_name: display_name.to_owned(),
        mail: format!("u{employee}@mail.example"),
        department: "営業部".to_owned(),
        job_title: "主任".to_owned(),
        phone: "03-1234-5678".to_owned(),
        enabled: true,
    }
}

/// Where people of a department are to be.
pub(crate) fn place(groups: &[&str], app_roles: &[&str]) -> Place {
    let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    Place {
        groups: texts(groups),
        managed_groups: texts(&[SALES, LEGAL]),
        app_roles: texts(app_roles),
        managed_app_roles: texts(&["text_apis", "image_apis"]),
    }
}

pub(crate) fn create(spec: AccountSpec) -> Order {
    let password = Password::given(format!("Initial-{}-9", spec.employee.as_str()));
    Order::Create { spec, password }
}

/// Longest wait for anything.
const PATIENCE: Duration = Duration::from_secs(120);
