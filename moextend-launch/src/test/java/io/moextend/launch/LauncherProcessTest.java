package io.moextend.launch;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Signals, killed processes, stopped processes: launcher and ranks as real processes. */
@Timeout(120)
class LauncherProcessTest {
  @TempDir Path folder;

  private Launched launch(List<String> command, String... options) throws Exception {
    return Launched.launch(folder, Launched.words(command, options), Map.of());
  }

  private static List<String> sh(String script) {
    return List.of("sh", "-c", script);
  }

  @Test
  void ranksJoinTheirGroupThroughTheLauncher() throws Exception {
    try (Launched run = launch(Launched.rank("once"), "--nproc_per_node", "3")) {
      assertThat(run.code()).as(run::said).isZero();
      for (int rank = 0; rank < 3; rank++) {
        run.await("[rank %d] joined as %d of 3, generation 0".formatted(rank, rank), "cards 3");
      }
    }
  }

  @Test
  void sigtermReachesTheRanksAndTheirCodeIsKept() throws Exception {
    String script = "trap 'echo leaving; exit 4' TERM; echo ready; while :; do sleep 0.05; done";
    for (String signal : List.of("TERM", "INT")) {
      try (Launched run = launch(sh(script), "--nproc-per-node", "2")) {
        run.await("[rank 0] ready");
        run.await("[rank 1] ready");
        run.signal(signal);
        assertThat(run.code()).as(run::said).isEqualTo(4);
        run.await("moextend: SIG" + signal + ": the ranks are asked to leave");
        run.await("[rank 0] leaving");
        run.await("[rank 1] leaving");
      }
    }
  }

  @Test
  void aRankThatIsDeafToSigtermIsKilledAfterTheGrace() throws Exception {
    String script = "trap '' TERM; echo ready; while :; do sleep 0.05; done";
    try (Launched run = launch(sh(script), "--grace", "1", "--max-restarts", "3")) {
      run.await("[rank 0] ready");
      run.signal("TERM");
      assertThat(run.code()).as(run::said).isEqualTo(128 + 9);
      assertThat(run.said()).doesNotContain("start again");
    }
  }

  @Test
  void aSecondSignalKillsAtOnce() throws Exception {
    String script = "trap '' TERM; echo ready; while :; do sleep 0.05; done";
    try (Launched run = launch(sh(script), "--grace", "600")) {
      run.await("[rank 0] ready");
      run.signal("TERM");
      run.await("asked to leave");
      run.signal("TERM");
      assertThat(run.code()).as(run::said).isEqualTo(128 + 9);
    }
  }

  @Test
  void aRankThatIsToldToLeaveTakesAllWithIt() throws Exception {
    try (Launched run = launch(Launched.rank(), "--nproc-per-node", "2")) {
      run.pidOf(0, 0);
      long one = run.pidOf(1, 0);
      Launched.signal(one, "TERM");
      assertThat(run.code()).as(run::said).isEqualTo(4);
      run.await("[rank 0] told to leave");
      run.await("[rank 1] told to leave");
    }
  }

  @Test
  void aKilledRankIsNamedAndAllStartAgain() throws Exception {
    try (Launched run = launch(Launched.rank(), "--nproc-per-node", "3", "--max-restarts", "1")) {
      run.pidOf(0, 0);
      run.pidOf(2, 0);
      Launched.signal(run.pidOf(1, 0), "KILL");
      run.await("moextend: rank 1 (pid", "node 0) was killed by signal 9");
      run.await("[rank 0] lost: rank 1 (pid");
      for (int rank = 0; rank < 3; rank++) {
        run.pidOf(rank, 1);
      }
      Launched.signal(run.pidOf(2, 1), "KILL");
      assertThat(run.code()).as(run::said).isEqualTo(128 + 9);
      run.await("rank 2 (pid", "was killed by signal 9");
      run.await("no restart is left of 1");
    }
  }

  @Test
  void ranksEndWhenTheirLauncherIsKilled() throws Exception {
    try (Launched run = launch(Launched.rank(), "--nproc-per-node", "2")) {
      long zero = run.pidOf(0, 0);
      long one = run.pidOf(1, 0);
      run.signal("KILL");
      Launched.awaitEnd(zero);
      Launched.awaitEnd(one);
    }
  }

  @Test
  void aStoppedRankIsSpokenOfAndGoesOnWhenItDoes() throws Exception {
    try (Launched run = launch(Launched.rank(), "--nproc-per-node", "2", "--patience", "60")) {
      run.pidOf(0, 0);
      long one = run.pidOf(1, 0);
      run.await("call 1, barrier (test): rank 0 has waited", "is alive and computing");
      Launched.signal(one, "STOP");
      run.await(
          "call 1, barrier (test): rank 0 has waited",
          "rank 1 (pid " + one,
          "gave no sign of life for");
      Launched.signal(one, "CONT");
      run.signal("TERM");
      assertThat(run.code()).as(run::said).isEqualTo(4);
    }
  }

  @Test
  void aRankThatStaysStoppedIsNamedWhenThePatienceIsOver() throws Exception {
    try (Launched run =
        launch(Launched.rank(), "--nproc-per-node", "2", "--patience", "4", "--grace", "1")) {
      run.pidOf(0, 0);
      long one = run.pidOf(1, 0);
      Launched.signal(one, "STOP");
      assertThat(run.code()).as(run::said).isEqualTo(5);
      run.await(
          "generation 0 is broken off: call 1, barrier (test): rank 0 has waited",
          "rank 1 (pid " + one,
          " s: stopped, or cut off?");
      run.await("[rank 0] lost: call 1");
      Launched.awaitEnd(one);
    }
  }

  @Test
  void aRankThatDoesNotComeIsNamed() throws Exception {
    List<String> rank = Launched.rank();
    String script = "[ $RANK = 1 ] && exec sleep 60; exec " + String.join(" ", rank);
    try (Launched run =
        launch(sh(script), "--nproc-per-node", "2", "--join-timeout", "2", "--grace", "1")) {
      assertThat(run.code()).as(run::said).isEqualTo(5);
      run.await("rank 1 did not come within 2 s (1 of 2 ranks are here)");
    }
  }
}
