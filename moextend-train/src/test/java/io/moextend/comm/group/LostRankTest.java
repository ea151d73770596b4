package io.moextend.comm.group;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.moextend.comm.PeerLostException;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.Future;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Whoever waits for a rank that will not come is told why, at once where it can be known. */
@Timeout(60)
class LostRankTest {
  private Gathered ranks;

  @BeforeEach
  void start() throws Exception {
    ranks = new Gathered();
  }

  @AfterEach
  void end() throws Exception {
    ranks.close();
  }

  /** Waits in a call as a collective does. */
  private Future<Void> waiting(Group group, int peer) {
    return ranks.submit(
        () -> {
          group.vigil().entered(1, "barrier (test)");
          while (true) {
            group.vigil().waiting(peer);
            Thread.sleep(1);
          }
        });
  }

  @Test
  void aRankThatLeavesEarlyEndsTheWaitOfTheOthersAtOnce() throws Exception {
    List<Group> groups = ranks.all(3, Gathered.LIMITS);
    Future<Void> zero = waiting(groups.get(0), 2);
    Future<Void> one = waiting(groups.get(1), 2);
    long since = System.nanoTime();
    groups.get(2).close();
    for (Future<Void> wait : List.of(zero, one)) {
      assertThat(Gathered.failure(wait))
          .isInstanceOfSatisfying(
              PeerLostException.class,
              e -> {
                assertThat(e.rank()).isEqualTo(2);
                assertThat(e).hasMessageContaining("rank 2 left the run before its end");
              });
    }
    assertThat(Duration.ofNanos(System.nanoTime() - since)).isLessThan(Duration.ofSeconds(5));
  }

  @Test
  void aRankThatGivesUpSaysWhyToAll() throws Exception {
    List<Group> groups = ranks.all(2, Gathered.LIMITS);
    var heard = new ConcurrentLinkedQueue<String>();
    groups.get(0).whenLost(heard::add);
    groups.get(1).fail("NaN in the loss of step 7");
    Gathered.await("told", () -> !heard.isEmpty());
    assertThat(heard).containsExactly("rank 1 gave up: NaN in the loss of step 7");
    assertThatThrownBy(groups.get(0)::requireWhole)
        .hasMessage("rank 1 gave up: NaN in the loss of step 7");
  }

  @Test
  void whoAsksLateIsToldToo() throws Exception {
    List<Group> groups = ranks.all(2, Gathered.LIMITS);
    groups.get(1).fail("no disk");
    Gathered.await("told", () -> broken(groups.get(0)));
    var heard = new ConcurrentLinkedQueue<String>();
    groups.get(0).whenLost(heard::add);
    assertThat(heard).containsExactly("rank 1 gave up: no disk");
  }

  private static boolean broken(Group group) {
    try {
      group.requireWhole();
      return false;
    } catch (PeerLostException e) {
      return true;
    }
  }

  @Test
  void theWatchdogSaysWhoWaitsForWhomThenNoLonger() throws Exception {
    var limits =
        new GroupLimits(Duration.ofSeconds(20), Duration.ofSeconds(20), Duration.ofSeconds(5));
    List<Group> groups = ranks.all(2, limits);
    groups.get(1).vigil().entered(1, "all-gather (weights)");
    groups.get(1).vigil().left(1);
    Future<Void> zero = waiting(groups.get(0), 1);
    Gathered.await("a word about it", () -> ranks.logged("is alive and computing"));
    assertThat(ranks.log)
        .anyMatch(
            l ->
                l.startsWith("call 1, barrier (test): rank 0 has waited ")
                    && l.contains(" for rank 1; rank 1 (pid"));
    assertThat(Gathered.failure(zero))
        .isInstanceOf(PeerLostException.class)
        .hasMessageContaining("no call may take longer than 5 s");
  }

  @Test
  void ranksEndWhenTheRendezvousIsGone() throws Exception {
    RendezvousServer server = ranks.server(Gathered.LIMITS);
    server.begin(0, 1);
    Group group =
        Gathered.got(ranks.join(ranks.rank(0, 1, 0, true, Gathered.TOKEN), Gathered.LIMITS));
    var heard = new ConcurrentLinkedQueue<String>();
    group.whenLost(heard::add);
    server.close();
    Gathered.await("told", () -> !heard.isEmpty());
    assertThat(heard.peek()).contains("is gone", "the launcher of the first host ended");
  }
}
