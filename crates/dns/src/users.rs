//! Which gateways a target matters to.

use meridian_model::{Catalog, TargetId};

use crate::outlooks::index;

/// The gateways that use each target, as two lists: small, and made once a catalog.
pub(crate) struct Users {
    /// By target: where its gateways begin in `gateways`; and the end.
    starts: Vec<u32>,
    /// Indexes.
    gateways: Vec<u32>,
}

impl Users {
    pub(crate) fn new(catalog: &Catalog) -> Self {
        let mut starts = vec![0; catalog.targets().len() + 1];
        each_use(catalog, |target, _| starts[target + 1] += 1);
        let mut end = 0;
        for start in &mut starts {
            end += *start;
            *start = end;
        }
        let mut gateways = vec![0; end as usize];
        let mut next = starts.clone();
        each_use(catalog, |target, gateway| {
            gateways[next[target] as usize] = gateway;
            next[target] += 1;
        });
        Self { starts, gateways }
    }

    /// Those of a target, ascending, perhaps one twice.
    pub(crate) fn of(&self, target: TargetId) -> &[u32] {
        let at = target.index();
        let (Some(&start), Some(&end)) = (self.starts.get(at), self.starts.get(at + 1)) else { return &[] };
        self.gateways.get(start as usize..end as usize).unwrap_or_default()
    }
}

fn each_use(catalog: &Catalog, mut visit: impl FnMut(usize, u32)) {
    for (number, gateway) in catalog.gateways().iter().enumerate() {
        for address in gateway.endpoints.iter().flat_map(|endpoint| &endpoint.addresses) {
            if let Some(target) = address.target {
                visit(target.index(), index(number));
            }
        }
    }
}
