//! The layout of the packed state.

use super::*;
use crate::packed_state::PackedState;

#[test]
fn packed_state_keeps_state_count_and_generation_apart() {
    let mut packed = PackedState::INITIAL;
    for generation in 1..1_000 {
        for state in BreakerState::ALL {
            let next = packed.next_generation(state);
            assert_eq!((next.state(), next.count()), (state, 0));
            assert_eq!(next.generation(), generation);
            for count in [0, 1, 1_000_000, (1 << 21) - 1] {
                let counted = next.with_count(count);
                assert_eq!((counted.state(), counted.count()), (state, count));
                assert_eq!(counted.generation(), generation);
                assert_eq!(PackedState::from_bits(counted.bits()), counted);
            }
        }
        packed = packed.next_generation(BreakerState::Closed).with_count(7);
    }
}

#[test]
fn breaker_counts_the_largest_limits_exactly() {
    let (consecutive, _) = breaker(BreakerConfig {
        trip: BreakerTrip::ConsecutiveFailures(1_000_000),
        ..BreakerConfig::default()
    });
    fail(&consecutive, 999_999);
    assert_eq!(state(&consecutive), BreakerState::Closed);
    fail(&consecutive, 1);
    assert_eq!(state(&consecutive), BreakerState::Open);

    let (window, _) = breaker(BreakerConfig {
        trip: BreakerTrip::Rate(BreakerRate {
            window: BreakerWindow::Calls(1_000_000),
            minimum_calls: 1_000_000,
            failure_percent: 1,
            slow_calls: None,
        }),
        ..BreakerConfig::default()
    });
    succeed(&window, 990_001);
    fail(&window, 9_998);
    assert_eq!(state(&window), BreakerState::Closed, "a call too few");
    succeed(&window, 1);
    fail(&window, 1);
    assert_eq!(
        state(&window),
        BreakerState::Closed,
        "9,999 of the last million"
    );
    fail(&window, 1);
    assert_eq!(state(&window), BreakerState::Open);
}
