package io.moextend.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.time.Duration;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** A rank that stands still: waited for and spoken of; after the patience it is lost. */
@Timeout(400)
class StoppedRankTest extends DisturbedRun {
  /** Seconds from SIGSTOP until the launcher has said these words. */
  private static double secondsUntil(RanksRun run, ProcessHandle stopped, String... words)
      throws Exception {
    long start = System.nanoTime();
    RanksRun.signal(stopped, "STOP");
    run.launcher().await(words);
    return (System.nanoTime() - start) / 1e9;
  }

  @Test
  void aRankThatStandsStillForAWhileIsSpokenOfAndTheRunGoesOn() throws Exception {
    try (RanksRun run = start(SETTINGS, "--patience", "20")) {
      run.awaitSteps(4);
      ProcessHandle stopped = run.rank(1, 0);
      double seconds =
          secondsUntil(
              run,
              stopped,
              "rank 0 has waited",
              "for rank 1",
              "rank 1 (pid %d, host node-0) gave no sign of life for".formatted(stopped.pid()));
      assertThat(seconds).as(run::said).isBetween(2.0, 8.0);
      RanksRun.signal(stopped, "CONT");
      requireUndisturbed(run);
      assertThat(run.said()).doesNotContain("broken off", "start again");
    }
  }

  @Test
  void aRankThatStaysStoppedIsNamedWithTheCallAndAllStartAgain() throws Exception {
    try (RanksRun run = start(SETTINGS, "--patience", "4", "--grace", "1", "--max-restarts", "1")) {
      run.awaitSteps(4);
      ProcessHandle stopped = run.rank(0, 0);
      double seconds =
          secondsUntil(
              run,
              stopped,
              "generation 0 is broken off: call ",
              "rank 1 has waited",
              "rank 0 (pid %d, host node-0) gave no sign of life for 4 s".formatted(stopped.pid()));
      assertThat(seconds).as(run::said).isBetween(2.9, 12.0);
      run.launcher().await("all ranks start again: generation 1, restart 1 of 1");
      requireUndisturbed(run);
    }
  }

  @Test
  void withoutRestartsARankThatStaysStoppedEndsTheRunWithFive() throws Exception {
    try (RanksRun run = start(SETTINGS, "--patience", "3", "--grace", "1")) {
      run.awaitSteps(4);
      RanksRun.signal(run.rank(1, 0), "STOP");
      assertThat(run.code()).as(run::said).isEqualTo(5);
      assertThat(run.said()).contains("generation 0 is broken off: call ", "rank 1 (pid ");
      run.requireNothingLeft();
      requireWholeCheckpoints(run.output());
    }
  }

  @Test
  void withTheUsualPatienceTwentySecondsAreWaitedForAndTwoMinutesAreNot() throws Exception {
    assumeTrue(
        Boolean.getBoolean("moextend.slow.tests"),
        "NOT TESTED: stops of 20 s and 120 s; -Dmoextend.slow.tests=true runs it");
    try (RanksRun run = start(SETTINGS)) {
      run.awaitSteps(4);
      ProcessHandle stopped = run.rank(1, 0);
      RanksRun.signal(stopped, "STOP");
      Thread.sleep(Duration.ofSeconds(20));
      RanksRun.signal(stopped, "CONT");
      requireUndisturbed(run);
    }
    try (RanksRun run = RanksRun.start(work, folder.resolve("long"), twoRanks(), SETTINGS)) {
      run.awaitSteps(4);
      ProcessHandle stopped = run.rank(1, 0);
      RanksRun.signal(stopped, "STOP");
      assertThat(run.code()).as(run::said).isEqualTo(5);
      assertThat(run.said()).contains("gave no sign of life for 60 s");
      run.requireNothingLeft();
    }
  }
}
