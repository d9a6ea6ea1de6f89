//! From a place to an order of clusters.

use meridian_model::{ClusterId, Coordinates, Policy};

/// Puts clusters in order of great-circle distance from a point; equally near ones stay as given.
///
/// Without a point (a client that cannot be placed) all stay as given: the operator's own order, as
/// gdnsd does with its list of datacenters.
#[must_use]
pub fn order_by_distance(clusters: &[(ClusterId, Coordinates)], from: Option<Coordinates>) -> Vec<ClusterId> {
    let Some(from) = from else {
        return clusters.iter().map(|(id, _)| *id).collect();
    };
    let mut by_distance: Vec<(f64, ClusterId)> =
        clusters.iter().map(|(id, coordinates)| (coordinates.distance_km(from), *id)).collect();
    by_distance.sort_by(|(a, _), (b, _)| a.total_cmp(b));
    by_distance.into_iter().map(|(_, id)| id).collect()
}

/// Whether a policy can decide differently for clients at different places.
#[must_use]
pub fn depends_on_place(policy: &Policy) -> bool {
    match policy {
        Policy::Nearest(_) | Policy::Geo(_) | Policy::Latency(_) => true,
        Policy::Weighted | Policy::All => false,
        Policy::Failover(tiers) => tiers.iter().any(|tier| depends_on_place(&tier.policy)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(index: usize, latitude: f64, longitude: f64) -> (ClusterId, Coordinates) {
        (ClusterId::from_index(index), Coordinates::new(latitude, longitude).unwrap())
    }

    #[test]
    fn nearest_first_across_the_date_line() {
        let clusters = [at(0, 53.35, -6.26), at(1, 39.04, -77.49), at(2, 35.68, 139.77)];
        let fiji = Coordinates::new(-17.7, 178.0).unwrap();
        let order = order_by_distance(&clusters, Some(fiji));
        assert_eq!(order.iter().map(|id| id.index()).collect::<Vec<_>>(), [2, 1, 0]);
    }

    #[test]
    fn the_unplaced_and_equals_keep_the_operators_order() {
        let clusters = [at(2, 1.0, 0.0), at(0, -1.0, 0.0), at(1, 50.0, 0.0)];
        let ids = |order: Vec<ClusterId>| order.iter().map(|id| id.index()).collect::<Vec<_>>();
        assert_eq!(ids(order_by_distance(&clusters, None)), [2, 0, 1]);
        let equator = Coordinates::new(0.0, 0.0).unwrap();
        assert_eq!(ids(order_by_distance(&clusters, Some(equator))), [2, 0, 1]);
    }
}
