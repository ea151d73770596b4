package io.moextend.launch;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.moextend.comm.group.GroupLimits;
import io.moextend.config.ConfigException;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What the launcher does with commands of the shell. */
@Timeout(60)
class LauncherTest {
  private static final LaunchOptions.Hosts ALONE =
      new LaunchOptions.Hosts(1, 0, "127.0.0.1", 0, null);

  @TempDir Path folder;

  private record Ran(int code, String out, String err) {}

  private LaunchOptions options(int ranks, int restarts, LaunchOptions.Hosts hosts, String script) {
    return new LaunchOptions(
        List.of("sh", "-c", script),
        ranks,
        hosts,
        restarts,
        folder.resolve("logs"),
        Duration.ofSeconds(5),
        GroupLimits.usual(),
        null);
  }

  private Ran sh(int ranks, int restarts, String script) {
    return run(options(ranks, restarts, ALONE, script));
  }

  private Ran run(LaunchOptions options) {
    var out = new ByteArrayOutputStream();
    var err = new ByteArrayOutputStream();
    var environment = new HashMap<>(System.getenv());
    environment.put("FOLDER", folder.toString());
    environment.remove("OMP_NUM_THREADS");
    int code =
        new Launcher(options, environment, new PrintStream(out, true), new PrintStream(err, true))
            .run();
    return new Ran(
        code, out.toString(StandardCharsets.UTF_8), err.toString(StandardCharsets.UTF_8));
  }

  private Map<String, String> environmentOf(int rank) throws IOException {
    return Files.readAllLines(folder.resolve("env-" + rank)).stream()
        .filter(line -> line.contains("="))
        .collect(
            Collectors.toMap(
                line -> line.substring(0, line.indexOf('=')),
                line -> line.substring(line.indexOf('=') + 1),
                (a, b) -> b));
  }

  @Test
  void eachRankHasTorchrunsEnvironment() throws IOException {
    assertThat(sh(2, 0, "env > $FOLDER/env-$RANK").code()).isZero();
    for (int rank = 0; rank < 2; rank++) {
      assertThat(environmentOf(rank))
          .containsEntry("RANK", "" + rank)
          .containsEntry("LOCAL_RANK", "" + rank)
          .containsEntry("WORLD_SIZE", "2")
          .containsEntry("LOCAL_WORLD_SIZE", "2")
          .containsEntry("GROUP_RANK", "0")
          .containsEntry("MASTER_ADDR", "127.0.0.1")
          .containsEntry("TORCHELASTIC_RESTART_COUNT", "0")
          .containsEntry("TORCHELASTIC_MAX_RESTARTS", "0")
          .containsEntry("OMP_NUM_THREADS", "1")
          .containsEntry("OMP_WAIT_POLICY", "PASSIVE")
          .containsEntry("MOEXTEND_RENDEZVOUS", "launcher")
          .containsKeys("MASTER_PORT", "TORCHELASTIC_RUN_ID", "MOEXTEND_PORT");
      assertThat(environmentOf(rank).get("MOEXTEND_TOKEN")).hasSize(64);
    }
    assertThat(environmentOf(0).get("MOEXTEND_TOKEN"))
        .isEqualTo(environmentOf(1).get("MOEXTEND_TOKEN"));
  }

  @Test
  void eachLineIsWholeAndHasItsRankBeforeIt() throws IOException {
    Ran ran =
        sh(
            3,
            0,
            "for i in $(seq 200); do printf 'a%s' $i; printf 'b\\n'; echo e$i >&2; done; printf end");
    assertThat(ran.code()).isZero();
    assertThat(ran.out().lines().filter(l -> !l.endsWith("end")))
        .hasSize(600)
        .allMatch(line -> line.matches("\\[rank [012]] a\\d+b"));
    for (int rank = 0; rank < 3; rank++) {
      String prefix = "[rank %d] ".formatted(rank);
      List<String> wanted =
          IntStream.rangeClosed(1, 200).mapToObj(i -> prefix + "a" + i + "b").toList();
      assertThat(ran.out().lines().filter(l -> l.startsWith(prefix)))
          .startsWith(wanted.toArray(String[]::new))
          .endsWith(prefix + "end");
      assertThat(ran.err().lines().filter(l -> l.startsWith(prefix))).hasSize(200);
      assertThat(folder.resolve("logs/generation-0/rank-" + rank + ".log"))
          .content()
          .contains("a1b\n", "a200b\n", "e200\n", "end")
          .doesNotContain("[rank");
    }
  }

  @Test
  void theFirstRankThatFailsIsNamedWithItsLastWordsAndItsCodeKept() {
    long since = System.nanoTime();
    Ran ran =
        sh(
            2,
            0,
            "if [ $RANK = 1 ]; then echo about to fail; echo no such thing >&2; exit 7; fi; exec sleep 60");
    assertThat(ran.code()).isEqualTo(7);
    assertThat(ran.err())
        .containsPattern(
            "moextend: rank 1 \\(pid \\d+, node 0\\) ended with code 7; the last lines of its log:")
        .contains("\n  about to fail", "\n  no such thing");
    assertThat(Duration.ofNanos(System.nanoTime() - since)).isLessThan(Duration.ofSeconds(20));
  }

  @Test
  void aKilledRankIsNamedWithItsSignal() {
    Ran ran = sh(2, 0, "if [ $RANK = 1 ]; then kill -9 $$; fi; exec sleep 60");
    assertThat(ran.code()).isEqualTo(128 + 9);
    assertThat(ran.err()).containsPattern("rank 1 \\(pid \\d+, node 0\\) was killed by signal 9;");
  }

  @Test
  void aRankThatOnlyLostAnotherIsNotTheOneNamed() {
    Ran ran = sh(2, 0, "if [ $RANK = 1 ]; then sleep 0.5; exit 9; fi; echo peer gone; exit 5");
    assertThat(ran.code()).isEqualTo(9);
    assertThat(ran.err()).contains("ended with code 9").doesNotContain("ended with code 5");
  }

  @ParameterizedTest
  @CsvSource({"0, 0", "4, 4", "2, 2", "1, 1"})
  void theCodeOfAllIsKeptAndAUsersFaultIsNotTriedAgain(int code, int wanted) {
    Ran ran = sh(2, code == 1 ? 0 : 3, "echo here; exit " + code);
    assertThat(ran.code()).isEqualTo(wanted);
    assertThat(ran.out().lines().filter("[rank 0] here"::equals)).hasSizeLessThanOrEqualTo(1);
    assertThat(ran.err()).doesNotContain("start again");
  }

  @Test
  void allStartAgainWhenOneFails() throws IOException {
    Ran ran =
        sh(
            2,
            2,
            "echo generation $TORCHELASTIC_RESTART_COUNT;"
                + " if [ $TORCHELASTIC_RESTART_COUNT = 0 ]; then [ $RANK = 1 ] && exit 7; exec sleep 60; fi");
    assertThat(ran.code()).as(ran.err()).isZero();
    assertThat(ran.err())
        .contains("ended with code 7", "all ranks start again: generation 1, restart 1 of 2");
    assertThat(ran.out().lines())
        .contains("[rank 0] generation 1", "[rank 1] generation 1")
        .doesNotContain("[rank 0] generation 2");
    assertThat(Files.readString(folder.resolve("logs/generation-1/rank-0.log")))
        .isEqualTo("generation 1\n");
  }

  @Test
  void whenNoRestartIsLeftTheCodeIsThatOfTheLastFailure() {
    Ran ran = sh(2, 2, "[ $RANK = 0 ] && exec sleep 60; exit $((10 + TORCHELASTIC_RESTART_COUNT))");
    assertThat(ran.code()).isEqualTo(12);
    assertThat(ran.err()).contains("restart 1 of 2", "restart 2 of 2", "no restart is left of 2");
  }

  @Test
  void aCommandThatDoesNotExistIsTheUsersFault() {
    LaunchOptions shell = options(2, 3, ALONE, "");
    Ran ran =
        run(
            new LaunchOptions(
                List.of("no-such-command"),
                2,
                ALONE,
                3,
                shell.logs(),
                shell.grace(),
                shell.limits(),
                null));
    assertThat(ran.code()).isEqualTo(2);
    assertThat(ran.err())
        .contains("did not run", "it could not be started", "no-such-command")
        .doesNotContain("start again");
  }

  @Test
  void aTakenPortIsSaidBeforeAnythingStarts() throws IOException {
    try (var taken = new ServerSocket(0, 1, InetAddress.getByName("127.0.0.1"))) {
      for (int port : new int[] {taken.getLocalPort(), taken.getLocalPort() - 1}) {
        var hosts = new LaunchOptions.Hosts(1, 0, "127.0.0.1", port, null);
        assertThatThrownBy(() -> run(options(1, 0, hosts, "touch $FOLDER/ran")))
            .isInstanceOf(ConfigException.class)
            .hasMessageContaining("cannot listen on 127.0.0.1:" + taken.getLocalPort())
            .hasMessageContaining("take a free");
      }
    }
    assertThat(folder.resolve("ran")).doesNotExist();
  }

  @ParameterizedTest
  @CsvSource({"192.0.2.1,", "127.0.0.1, 0.0.0.0"})
  void beyondLoopbackATokenIsRequired(String master, String bind) {
    var hosts = new LaunchOptions.Hosts(2, 0, master, 29500, bind);
    assertThatThrownBy(() -> options(1, 0, hosts, "true"))
        .isInstanceOf(ConfigException.class)
        .hasMessageContaining("is not loopback and the run has no token")
        .hasMessageContaining("Set MOEXTEND_TOKEN, or --token-file");
  }

  @Test
  void whatARankStartedEndsWithIt() throws Exception {
    Ran ran =
        sh(
            2,
            0,
            "if [ $RANK = 1 ]; then sleep 1; exit 7; fi; sleep 300 & echo $! > $FOLDER/child; wait");
    assertThat(ran.code()).isEqualTo(7);
    Launched.awaitEnd(Long.parseLong(Files.readString(folder.resolve("child")).strip()));
  }
}
