package io.moextend.comm.group;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.moextend.comm.PeerLostException;
import io.moextend.config.ConfigException;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.Future;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Ranks come, know each other, and leave; or it is said who does not. */
@Timeout(60)
class RendezvousTest {
  private static final GroupLimits SHORT =
      new GroupLimits(Duration.ofMillis(1500), Duration.ofSeconds(20), Duration.ofSeconds(60));

  private Gathered ranks;

  @BeforeEach
  void start() throws Exception {
    ranks = new Gathered();
  }

  @AfterEach
  void end() throws Exception {
    ranks.close();
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 3, 4})
  void everyRankGetsTheCardsOfAll(int world) throws Exception {
    List<Group> groups = ranks.all(world, Gathered.LIMITS);
    for (Group group : groups) {
      assertThat(group.world()).isEqualTo(world);
      assertThat(group.cards()).extracting(Card::rank).isSorted().hasSize(world);
      for (Card card : group.cards()) {
        assertThat(card.details()).containsExactly((byte) card.rank(), 42);
        assertThat(card.pid()).isEqualTo(ProcessHandle.current().pid());
        assertThat(card.host()).isEqualTo("here");
      }
    }
  }

  @Test
  void aLateRankIsWaitedFor() throws Exception {
    Future<Group> zero = ranks.join(ranks.rank(0, 2, 0, false, Gathered.TOKEN), Gathered.LIMITS);
    Thread.sleep(1200);
    assertThat(zero.isDone()).isFalse();
    ranks.join(ranks.rank(1, 2, 0, false, Gathered.TOKEN), Gathered.LIMITS);
    assertThat(Gathered.got(zero).cards()).hasSize(2);
  }

  @Test
  void ranksMayComeBeforeTheOneThatHoldsTheRendezvous() throws Exception {
    Future<Group> one = ranks.join(ranks.rank(1, 2, 0, false, Gathered.TOKEN), Gathered.LIMITS);
    Thread.sleep(300);
    ranks.join(ranks.rank(0, 2, 0, false, Gathered.TOKEN), Gathered.LIMITS);
    assertThat(Gathered.got(one).rank()).isEqualTo(1);
  }

  @Test
  void missingRanksAreNamedToThoseWhoCame() throws Exception {
    Future<Group> zero = ranks.join(ranks.rank(0, 4, 0, false, Gathered.TOKEN), SHORT);
    Future<Group> two = ranks.join(ranks.rank(2, 4, 0, false, Gathered.TOKEN), SHORT);
    for (Future<Group> waiting : List.of(zero, two)) {
      assertThat(Gathered.failure(waiting))
          .isInstanceOf(PeerLostException.class)
          .hasMessageContaining("ranks 1, 3 did not come within 1 s (2 of 4 ranks are here)");
    }
  }

  @Test
  void nobodyAtTheRendezvousIsSaidWithItsAddress() throws Exception {
    Future<Group> one = ranks.join(ranks.rank(1, 2, 0, false, Gathered.TOKEN), SHORT);
    assertThat(Gathered.failure(one))
        .isInstanceOf(PeerLostException.class)
        .hasMessageContaining("no rendezvous at 127.0.0.1")
        .hasMessageContaining("is the first host's process up, and its port open?");
  }

  @Test
  void aSecondProcessOfTheSameRankIsRefusedAndTheFirstStays() throws Exception {
    Future<Group> zero = ranks.join(ranks.rank(0, 2, 0, false, Gathered.TOKEN), Gathered.LIMITS);
    Future<Group> first = ranks.join(ranks.rank(1, 2, 0, false, Gathered.TOKEN), Gathered.LIMITS);
    Gathered.got(zero);
    Gathered.got(first);
    Future<Group> second = ranks.join(ranks.rank(1, 2, 0, false, Gathered.TOKEN), Gathered.LIMITS);
    assertThat(Gathered.failure(second))
        .isInstanceOf(ConfigException.class)
        .hasMessageContaining("is in already; two processes have the same RANK");
    Gathered.got(zero).requireWhole();
    Gathered.got(first).requireWhole();
  }

  @Test
  void anotherWorldIsRefused() throws Exception {
    Future<Group> zero = ranks.join(ranks.rank(0, 2, 0, false, Gathered.TOKEN), Gathered.LIMITS);
    Future<Group> wrong = ranks.join(ranks.rank(1, 3, 0, false, Gathered.TOKEN), Gathered.LIMITS);
    assertThat(Gathered.failure(wrong))
        .hasMessageContaining(
            "rank 1 of a world of 3, but the group has 2 ranks: WORLD_SIZE must be the same everywhere");
    ranks.join(ranks.rank(1, 2, 0, false, Gathered.TOKEN), Gathered.LIMITS);
    Gathered.got(zero);
  }

  @Test
  void anOldGenerationIsRefusedAndANewerOneWaits() throws Exception {
    try (RendezvousServer server = ranks.server(Gathered.LIMITS)) {
      server.begin(1, 1);
      Future<Group> newer = ranks.join(ranks.rank(0, 1, 2, true, Gathered.TOKEN), Gathered.LIMITS);
      Future<Group> old = ranks.join(ranks.rank(0, 1, 0, true, Gathered.TOKEN), Gathered.LIMITS);
      assertThat(Gathered.failure(old))
          .isInstanceOf(ConfigException.class)
          .hasMessageContaining("rank 0 is of generation 0, the group of generation 1");
      assertThat(newer.isDone()).isFalse();
      server.begin(2, 1);
      Group group = Gathered.got(newer);
      assertThat(group.environment().generation()).isEqualTo(2);
      group.finished();
      group.close();
    }
  }

  @Test
  void aRankWithAnotherTokenIsTurnedAwayAndTheRunGoesOn() throws Exception {
    Token other = Token.of("the test", "the secret of another run");
    Future<Group> zero = ranks.join(ranks.rank(0, 2, 0, false, Gathered.TOKEN), Gathered.LIMITS);
    Future<Group> wrong = ranks.join(ranks.rank(1, 2, 0, false, other), Gathered.LIMITS);
    assertThat(Gathered.failure(wrong))
        .isInstanceOf(ConfigException.class)
        .hasMessageContaining("it does not know this run's token")
        .hasMessageContaining("MOEXTEND_TOKEN must be the same everywhere");
    ranks.join(ranks.rank(1, 2, 0, false, Gathered.TOKEN), Gathered.LIMITS);
    Gathered.got(zero).requireWhole();
  }

  @Test
  void aTakenPortIsSaidWithTheMend() throws Exception {
    try (var taken = new ServerSocket()) {
      taken.bind(new InetSocketAddress("127.0.0.1", ranks.port()));
      assertThat(
              Gathered.failure(
                  ranks.join(ranks.rank(0, 1, 0, false, Gathered.TOKEN), Gathered.LIMITS)))
          .isInstanceOf(ConfigException.class)
          .hasMessageContaining("cannot listen on 127.0.0.1:" + ranks.port())
          .hasMessageContaining("take a free port");
    }
  }

  @Test
  void anAddressOfAnotherHostIsSaidWithTheMend() {
    var address = InetSocketAddress.createUnresolved("192.0.2.1", 4000);
    assertThatThrownBy(
            () ->
                RendezvousServer.open(
                        address, Gathered.TOKEN, SHORT, ranks.log::add, NodeDesk.none())
                    .close())
        .isInstanceOf(ConfigException.class)
        .hasMessageContaining("an address of this host");
  }

  @Test
  void aRequestToLeaveReachesAll() throws Exception {
    List<Group> groups = ranks.all(3, Gathered.LIMITS);
    assertThat(groups).noneMatch(Group::stopRequested);
    groups.get(1).requestStop();
    Gathered.await("told", () -> groups.stream().allMatch(Group::stopRequested));
  }

  @Test
  void whoFinishesLeavesTheOthersInPeace() throws Exception {
    List<Group> groups = ranks.all(3, Gathered.LIMITS);
    groups.get(1).finished();
    groups.get(1).close();
    Thread.sleep(300);
    groups.get(0).requireWhole();
    groups.get(2).requireWhole();
  }

  @Test
  void theRankThatHoldsTheRendezvousLeavesLast() throws Exception {
    List<Group> groups = ranks.all(2, Gathered.LIMITS);
    groups.get(0).finished();
    Future<?> leaving =
        ranks.submit(
            () -> {
              groups.get(0).close();
              return true;
            });
    Thread.sleep(300);
    assertThat(leaving.isDone()).isFalse();
    groups.get(1).requireWhole();
    groups.get(1).finished();
    groups.get(1).close();
    Gathered.got(leaving);
  }
}
