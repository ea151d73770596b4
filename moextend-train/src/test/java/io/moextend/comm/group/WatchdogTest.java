package io.moextend.comm.group;

import static org.assertj.core.api.Assertions.assertThat;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

/** Who waits in which call for whom, in words; time is told, not slept. */
class WatchdogTest {
  private static final long SECOND = 1_000_000_000L;

  private final List<String> log = new ArrayList<>();
  private final Watchdog watchdog = watchdog(3);

  private Watchdog watchdog(int world) {
    List<Card> cards =
        IntStream.range(0, world).mapToObj(r -> new Card(r, 100 + r, "a", new byte[0])).toList();
    return new Watchdog(cards, GroupLimits.usual(), log::add, 0);
  }

  private void waits(int rank, long sequence, double seconds, int peer, long at) {
    watchdog.beat(
        rank,
        new Doing(
            sequence,
            "all-reduce (gradients)",
            true,
            Duration.ofMillis((long) (seconds * 1e3)),
            peer),
        at * SECOND);
  }

  private void computes(int rank, long sequence, double seconds, long at) {
    watchdog.beat(
        rank,
        new Doing(
            sequence,
            "all-reduce (gradients)",
            false,
            Duration.ofMillis((long) (seconds * 1e3)),
            -1),
        at * SECOND);
  }

  private Optional<Watchdog.Verdict> look(long at) {
    return watchdog.look(at * SECOND);
  }

  @Test
  void shortWaitsAreNotWorthAWord() {
    waits(0, 7, 2.0, 1, 10);
    waits(2, 7, 2.5, 1, 10);
    computes(1, 6, 2.5, 10);
    assertThat(look(10)).isEmpty();
    assertThat(log).isEmpty();
  }

  @Test
  void aRankThatComputesIsNamedAndLeftAlone() {
    for (long t = 10; t < 500; t++) {
      waits(0, 7, t - 6, 1, t);
      waits(2, 7, t - 7, 1, t);
      computes(1, 6, t - 5, t);
      assertThat(look(t)).as("after %d s", t).isEmpty();
    }
    assertThat(log.getFirst())
        .isEqualTo(
            "call 7, all-reduce (gradients): ranks 0 and 2 have waited 4 s for rank 1; rank 1 (pid 101,"
                + " host a) is alive and computing for 5 s, its last was call 6, all-reduce (gradients)");
    assertThat(log).as("at growing intervals").hasSizeBetween(5, 8);
    computes(0, 7, 1, 500);
    computes(1, 7, 1, 500);
    computes(2, 7, 1, 500);
    assertThat(look(500)).isEmpty();
    assertThat(log.getLast()).isEqualTo("call 7 went on");
  }

  @Test
  void noCallTakesLongerThanItsLimit() {
    waits(0, 7, 601, 1, 700);
    waits(2, 7, 601, 1, 700);
    computes(1, 6, 650, 700);
    assertThat(look(700))
        .hasValueSatisfying(
            v -> {
              assertThat(v.rank()).isEqualTo(1);
              assertThat(v.why())
                  .contains("ranks 0 and 2 have waited 601 s for rank 1", "is alive and computing")
                  .endsWith("no call may take longer than 600 s (--collective-timeout)");
            });
  }

  @Test
  void aSilentRankIsGivenUpAfterThePatience() {
    computes(1, 6, 0, 10);
    for (long t = 11; t < 70; t++) {
      waits(0, 7, t - 10, 1, t);
      waits(2, 7, t - 10, 1, t);
      assertThat(look(t)).as("at %d s", t).isEmpty();
    }
    assertThat(log.getFirst())
        .contains("rank 1 (pid 101, host a) gave no sign of life for 3 s: stopped, or cut off?");
    waits(0, 7, 61, 1, 71);
    waits(2, 7, 61, 1, 71);
    assertThat(look(71))
        .hasValueSatisfying(
            v -> {
              assertThat(v.rank()).isEqualTo(1);
              assertThat(v.why()).contains("gave no sign of life for 61 s");
            });
  }

  @Test
  void aSilentRankNobodyWaitsForIsLeftAlone() {
    computes(1, 6, 0, 10);
    computes(0, 6, 90, 100);
    computes(2, 6, 90, 100);
    assertThat(look(100)).isEmpty();
  }

  @Test
  void theChainOfWaitsIsFollowedToItsEnd() {
    waits(0, 7, 5, 2, 20);
    waits(2, 7, 5, 1, 20);
    computes(1, 6, 6, 20);
    look(20);
    assertThat(log)
        .singleElement()
        .asString()
        .contains("ranks 0 and 2 have waited 5 s for rank 1; rank 1");
  }

  @Test
  void ranksInDifferentCallsThatWaitForEachOtherAreBothNamed() {
    waits(0, 7, 5, 1, 20);
    waits(1, 8, 5, 0, 20);
    computes(2, 8, 1, 20);
    look(20);
    assertThat(log)
        .singleElement()
        .asString()
        .contains(
            "call 7, all-reduce (gradients): rank 0 has waited 5 s",
            "rank 1 in call 8",
            "has been in call 7, all-reduce (gradients) for 5 s, waiting for rank 1",
            "has been in call 8, all-reduce (gradients) for 5 s, waiting for rank 0");
  }

  @Test
  void aRankThatLeftInPeaceIsNamedAsSuch() {
    waits(0, 7, 61, 1, 70);
    computes(2, 7, 1, 70);
    watchdog.left(1);
    assertThat(look(70))
        .hasValueSatisfying(v -> assertThat(v.why()).contains("has said goodbye and left"));
  }
}
