package io.moextend.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** A rank, or the launcher, that is killed: where its group ends, and with which bytes. */
@Timeout(300)
class KilledRankTest extends DisturbedRun {
  private RanksRun start(int restarts, List<String> settings) throws IOException {
    return start(settings, "--max-restarts", String.valueOf(restarts), "--patience", "20");
  }

  private static void requireNamed(RanksRun run, int rank, ProcessHandle killed)
      throws InterruptedException {
    run.launcher()
        .await(
            "moextend: rank %d (pid %d, node 0) was killed by signal 9"
                .formatted(rank, killed.pid()));
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 1})
  void aRankKilledInTheMiddleOfTheRunIsNamedAndAllGoOnFromTheLastCheckpoint(int rank)
      throws Exception {
    try (RanksRun run = start(1, SETTINGS)) {
      run.awaitSteps(5);
      ProcessHandle killed = run.rank(rank, 0);
      killed.destroyForcibly();
      requireNamed(run, rank, killed);
      run.launcher().await("all ranks start again: generation 1, restart 1 of 1");
      requireUndisturbed(run);
    }
  }

  @Test
  void aRankKilledWhileItWaitsForAnotherIsNamedAndTheOtherIsNot() throws Exception {
    try (RanksRun run = start(1, SETTINGS)) {
      run.awaitSteps(4);
      RanksRun.signal(run.rank(0, 0), "STOP");
      run.launcher().await("rank 1 has waited", "for rank 0");
      ProcessHandle killed = run.rank(1, 0);
      killed.destroyForcibly();
      requireNamed(run, 1, killed);
      RanksRun.signal(run.rank(0, 0), "CONT");
      requireUndisturbed(run);
      assertThat(run.said()).doesNotContainPattern("rank 0 \\(pid \\d+, node 0\\) was killed");
    }
  }

  @Test
  void withoutRestartsTheRunEndsWithTheSignalAndLeavesNothing() throws Exception {
    try (RanksRun run = start(0, SETTINGS)) {
      run.awaitSteps(4);
      ProcessHandle killed = run.rank(1, 0);
      killed.destroyForcibly();
      requireNamed(run, 1, killed);
      assertThat(run.code()).as(run::said).isEqualTo(128 + 9);
      run.requireNothingLeft();
      requireWholeCheckpoints(run.output());
    }
  }

  /** Stops a rank while a checkpoint is being written, and kills it there. */
  private static void killWhileSaving(RanksRun run, int rank, int generation) throws Exception {
    ProcessHandle victim = run.rank(rank, generation);
    while (true) {
      run.await("a save", () -> beingWritten(run.output()));
      RanksRun.signal(victim, "STOP");
      if (beingWritten(run.output())) {
        break;
      }
      RanksRun.signal(victim, "CONT");
    }
    run.remember();
    requireWholeCheckpoints(run.output());
    victim.destroyForcibly();
    requireNamed(run, rank, victim);
  }

  private static boolean beingWritten(Path output) {
    try (Stream<Path> files = Files.list(output)) {
      return files.anyMatch(f -> f.toString().matches(".*checkpoint-\\d+\\.incomplete"));
    } catch (IOException e) {
      return false; // not made yet
    }
  }

  @Test
  void ranksKilledInTheMiddleOfASaveLeaveNoHalfCheckpointToGoOnFrom() throws Exception {
    try (RanksRun run = start(2, saving(1))) {
      killWhileSaving(run, 0, 0);
      run.launcher().await("generation 1, restart 1 of 2");
      killWhileSaving(run, 1, 1);
      run.launcher().await("generation 2, restart 2 of 2");
      requireUndisturbed(run);
      assertThat(beingWritten(run.output())).isFalse();
    }
  }

  @Test
  void ranksKilledWhileTheyResumeStartAgain() throws Exception {
    try (RanksRun run = start(3, SETTINGS)) {
      run.awaitSteps(4);
      run.rank(1, 0).destroyForcibly();
      // just begun, then a second later: before and after it has joined the others
      run.rank(0, 1).destroyForcibly();
      run.launcher().await("generation 2, restart 2 of 3");
      ProcessHandle later = run.rank(1, 2);
      Thread.sleep(1200);
      later.destroyForcibly();
      requireNamed(run, 1, later);
      run.launcher().await("generation 3, restart 3 of 3");
      requireUndisturbed(run);
    }
  }

  @Test
  void ranksEndByThemselvesWhenTheLauncherIsKilled() throws Exception {
    try (RanksRun run = start(1, SETTINGS)) {
      run.awaitSteps(3);
      ProcessHandle zero = run.rank(0, 0);
      ProcessHandle one = run.rank(1, 0);
      run.launcher().signal("KILL");
      assertThat(zero.onExit()).succeedsWithin(Duration.ofSeconds(20));
      assertThat(one.onExit()).succeedsWithin(Duration.ofSeconds(20));
      run.requireNothingLeft();
      requireWholeCheckpoints(run.output());
    }
  }
}
