//! Starts what makes accounts.

use std::sync::Arc;

use crate::clock::Clock;
use crate::ledger::Calendar;
use crate::mail::Mail;
use crate::objects::Objects;
use crate::people::sealed::Opener;
use crate::provisioning::accounts::Accounts;
use crate::provisioning::pickup::PickupStanding;
use crate::provisioning::{
    Days, Desk, Embedded, Notices, NoticesByMail, PeopleSettings, Pickup, Runner, desk,
};
use crate::settings::LiveSettings;
use crate::snapshot::SnapshotHub;
use crate::store::Store;

/// What accounts are made with.
pub(super) struct People {
    pub(super) store: Store,
    pub(super) hub: SnapshotHub,
    pub(super) calendar: Calendar,
    pub(super) clock: Clock,
    pub(super) settings: Arc<PeopleSettings>,
    /// What can be changed meanwhile.
    pub(super) live: LiveSettings,
    pub(super) opener: Opener,
    /// The way to people; none: they are not told.
    pub(super) mail: Option<Mail>,
    /// The tenant's accounts; none: the embedded directory has them.
    pub(super) entra: Option<Arc<dyn Accounts>>,
    /// What is in the place where files are picked up; none: there is no such place.
    pub(super) files: Option<Objects>,
}

impl People {
    /// Begins to carry out what is there and what comes. For the active sidecar alone.
    pub(super) fn start(self) -> (Desk, Option<PickupStanding>) {
        let accounts = self.accounts();
        let notices = self.mail.clone().map(|mail| {
            let (store, settings) = (self.store.clone(), self.live.clone());
            let by_mail = NoticesByMail::new(mail, store, settings, self.clock.clone());
            Arc::new(by_mail) as Arc<dyn Notices>
        });
        let desk = Desk::new(
            self.store.clone(),
            self.hub.clone(),
            Arc::clone(&self.settings),
            Some(self.opener),
            accounts.name(),
            notices.is_some(),
        );
        let days = Days::new(
            self.store.clone(),
            self.calendar.clone(),
            self.clock.clone(),
            self.live,
            desk.wake(),
        );
        let pickup = self.settings.pickup.clone().zip(self.files);
        let pickup = pickup.map(|(settings, files)| {
            let (store, clock) = (self.store.clone(), self.clock.clone());
            Pickup::new(desk.clone(), store, files, settings, clock)
        });
        let runner = Runner::new(
            self.store,
            self.hub,
            self.calendar,
            self.clock,
            self.settings,
            accounts,
            notices,
        );
        tokio::spawn(runner.run(desk.wake()));
        tokio::spawn(days.run());
        let standing = pickup.map(|pickup| {
            let standing = pickup.standing();
            tokio::spawn(pickup.run());
            standing
        });
        (desk, standing)
    }

    fn accounts(&self) -> Arc<dyn Accounts> {
        if let Some(entra) = &self.entra {
            return Arc::clone(entra);
        }
        // Without a tenant of its own no account is made; the desk says so.
        let tenant = desk::tenant(&self.hub.policy(), &self.settings).unwrap_or_default();
        Arc::new(Embedded::new(
            self.store.clone(),
            &tenant,
            self.clock.clone(),
        ))
    }
}
