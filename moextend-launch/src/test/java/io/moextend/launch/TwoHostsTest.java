package io.moextend.launch;

import static org.assertj.core.api.Assertions.assertThat;

import java.net.InetAddress;
import java.net.ServerSocket;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Two launchers on loopback, as on two hosts. */
@Timeout(120)
class TwoHostsTest {
  private static final Map<String, String> TOKEN =
      Map.of("MOEXTEND_TOKEN", "the secret of this test run");

  @TempDir Path folder;
  private int port;

  @BeforeEach
  void findPort() throws Exception {
    try (var probe = new ServerSocket(0, 1, InetAddress.getByName("127.0.0.1"))) {
      port = probe.getLocalPort();
    }
  }

  private Launched node(int node, Map<String, String> token, List<String> rank, String... more)
      throws Exception {
    var options =
        new ArrayList<>(
            List.of(
                "--nnodes",
                "2",
                "--node-rank",
                "" + node,
                "--master-port",
                "" + port,
                "--nproc-per-node",
                node == 0 ? "1" : "2"));
    options.addAll(List.of(more));
    return Launched.launch(folder, Launched.words(rank, options.toArray(String[]::new)), token);
  }

  private Launched alone(List<String> rank, String... more) throws Exception {
    var options = new ArrayList<>(List.of("--master-port", "" + port));
    options.addAll(List.of(more));
    return Launched.launch(folder, Launched.words(rank, options.toArray(String[]::new)), TOKEN);
  }

  @Test
  void ranksOfTwoHostsFormOneGroup() throws Exception {
    try (Launched one = node(1, TOKEN, Launched.rank("once"));
        Launched zero = node(0, TOKEN, Launched.rank("once"))) {
      assertThat(zero.code()).as(zero::said).isZero();
      assertThat(one.code()).as(one::said).isZero();
      zero.await("[rank 0] joined as 0 of 3");
      one.await("[rank 1] joined as 1 of 3");
      one.await("[rank 2] joined as 2 of 3");
      zero.await("moextend: node 1 (", "2 ranks) has come");
    }
  }

  @Test
  void aRankThatFailsOnTheOtherHostIsNamedHereAndThere() throws Exception {
    List<String> rank = List.of("sh", "-c", "[ $RANK = 2 ] && exit 7; exec sleep 60");
    try (Launched one = node(1, TOKEN, rank);
        Launched zero = node(0, TOKEN, rank)) {
      assertThat(zero.code()).as(zero::said).isEqualTo(7);
      assertThat(one.code()).as(one::said).isEqualTo(7);
      zero.await("moextend: rank 2 (pid", "node 1) ended with code 7");
      one.await("moextend: rank 2 (pid", "node 1) ended with code 7");
    }
  }

  @Test
  void aHostThatIsLostIsNamedAndTheOthersEnd() throws Exception {
    try (Launched one = node(1, TOKEN, Launched.rank());
        Launched zero = node(0, TOKEN, Launched.rank(), "--grace", "2")) {
      zero.pidOf(0, 0);
      long first = one.pidOf(1, 0);
      long second = one.pidOf(2, 0);
      one.signal("KILL");
      assertThat(zero.code()).as(zero::said).isEqualTo(5);
      zero.await("moextend: node 1 (", ") is lost: its connection closed");
      // whichever reaches the rank first: the rendezvous' word, or its launcher's SIGTERM
      assertThat(zero.said()).containsAnyOf("[rank 0] lost: node 1 (", "[rank 0] told to leave");
      Launched.awaitEnd(first);
      Launched.awaitEnd(second);
    }
  }

  @Test
  void aHostThatComesBackIsTakenInAgain() throws Exception {
    try (Launched one = node(1, TOKEN, Launched.rank(), "--max-restarts", "1");
        Launched zero = node(0, TOKEN, Launched.rank(), "--max-restarts", "1", "--grace", "2")) {
      zero.pidOf(0, 0);
      one.pidOf(1, 0);
      one.signal("KILL");
      zero.await("all ranks start again: generation 1, restart 1 of 1");
      try (Launched again = node(1, TOKEN, Launched.rank(), "--max-restarts", "1")) {
        zero.pidOf(0, 1);
        again.pidOf(1, 1);
        again.pidOf(2, 1);
        again.signal("TERM"); // told on one host, all leave
        assertThat(zero.code()).as(zero::said).isEqualTo(4);
        assertThat(again.code()).as(again::said).isEqualTo(4);
      }
    }
  }

  @Test
  void theOtherHostsEndWhenTheFirstIsLost() throws Exception {
    try (Launched one = node(1, TOKEN, Launched.rank(), "--grace", "2");
        Launched zero = node(0, TOKEN, Launched.rank())) {
      long first = one.pidOf(1, 0);
      long of0 = zero.pidOf(0, 0);
      zero.signal("KILL");
      assertThat(one.code()).as(one::said).isEqualTo(5);
      one.await("moextend: the launcher of node 0 at", "is gone: its connection closed");
      Launched.awaitEnd(first);
      Launched.awaitEnd(of0);
    }
  }

  @Test
  void aHostThatDoesNotComeIsNamed() throws Exception {
    try (Launched zero = node(0, TOKEN, Launched.rank(), "--join-timeout", "1")) {
      assertThat(zero.code()).as(zero::said).isEqualTo(5);
      zero.await("moextend: node 1 did not come within 1 s; is its launcher running");
    }
  }

  @Test
  void aHostWithAnotherTokenOrNumberOfHostsIsTurnedAwayAndTheRunGoesOn() throws Exception {
    try (Launched zero = node(0, TOKEN, Launched.rank("once"));
        Launched other =
            node(1, Map.of("MOEXTEND_TOKEN", "the secret of another run"), Launched.rank());
        Launched third = alone(Launched.rank(), "--nnodes", "3", "--node-rank", "2")) {
      assertThat(other.code()).as(other::said).isEqualTo(2);
      other.await("MOEXTEND_TOKEN must be the same everywhere");
      assertThat(third.code()).as(third::said).isEqualTo(2);
      third.await("it is node 2 of 3 with 1 ranks, but --nnodes is 2 here");
      try (Launched one = node(1, TOKEN, Launched.rank("once"))) {
        assertThat(zero.code()).as(zero::said).isZero();
        assertThat(one.code()).as(one::said).isZero();
      }
    }
  }
}
