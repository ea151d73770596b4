package io.moextend.cli;

import static org.assertj.core.api.Assertions.assertThat;

import io.moextend.comm.group.GroupLimits;
import io.moextend.config.ConfigException;
import io.moextend.launch.LaunchOptions;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.assertj.core.api.Assertions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;

/** The words of the launch command. */
class LaunchCommandTest {
  private static final Path LOGS = Path.of("usual-logs");

  @TempDir Path folder;

  @Command
  private static final class Holder {
    @Mixin private LaunchOptionsMixin launch = new LaunchOptionsMixin();
  }

  private static LaunchOptionsMixin parsed(String... words) {
    var holder = new Holder();
    new CommandLine(holder).parseArgs(words);
    return holder.launch;
  }

  private static LaunchOptions options(Map<String, String> environment, String... words) {
    return parsed(words).options(List.of("true"), LOGS, environment);
  }

  @Test
  void aloneOneRankRunsOnLoopbackWithFreePortsAndNoRestart() {
    LaunchOptions options = options(Map.of());
    assertThat(options.ranks()).isEqualTo(1);
    assertThat(options.hosts()).isEqualTo(new LaunchOptions.Hosts(1, 0, "127.0.0.1", 0, null));
    assertThat(options.maxRestarts()).isZero();
    assertThat(options.logs()).isEqualTo(LOGS);
    assertThat(options.grace()).isEqualTo(Duration.ofSeconds(30));
    assertThat(options.limits()).isEqualTo(GroupLimits.usual());
    assertThat(options.token()).isNull();
  }

  @Test
  void torchrunsWordsAreTakenWithDashesAndWithUnderscores() throws Exception {
    Path token = Files.writeString(folder.resolve("token"), "the secret of this test run");
    String[] dashes = {
      "--nproc-per-node=3",
      "--nnodes=2",
      "--node-rank=1",
      "--master-addr=127.0.0.2",
      "--master-port=29700",
      "--max-restarts=4",
      "--log-dir=here",
      "--token-file=" + token,
      "--join-timeout=7",
      "--patience=8",
      "--collective-timeout=9",
      "--grace=10",
      "--bind=127.0.0.3"
    };
    String[] underscores = new String[dashes.length];
    for (int i = 0; i < dashes.length; i++) {
      int end = dashes[i].indexOf('=');
      underscores[i] =
          "--" + dashes[i].substring(2, end).replace('-', '_') + dashes[i].substring(end);
    }
    LaunchOptions options = options(Map.of(), dashes);
    assertThat(options(Map.of(), underscores)).isEqualTo(options);
    assertThat(options.ranks()).isEqualTo(3);
    assertThat(options.hosts())
        .isEqualTo(new LaunchOptions.Hosts(2, 1, "127.0.0.2", 29700, "127.0.0.3"));
    assertThat(options.maxRestarts()).isEqualTo(4);
    assertThat(options.logs()).isEqualTo(Path.of("here"));
    assertThat(options.grace()).isEqualTo(Duration.ofSeconds(10));
    assertThat(options.limits())
        .isEqualTo(
            new GroupLimits(Duration.ofSeconds(7), Duration.ofSeconds(8), Duration.ofSeconds(9)));
    assertThat(options.token()).isNotNull();
  }

  @Test
  void severalHostsAgreeOnTorchrunsPort() {
    assertThat(options(Map.of(), "--nnodes", "2").hosts().masterPort()).isEqualTo(29500);
  }

  @Test
  void autoIsOneRankForEachVisibleGpuAndAtLeastOne() {
    assertThat(options(Map.of("CUDA_VISIBLE_DEVICES", "0,2,5"), "--nproc-per-node=auto").ranks())
        .isEqualTo(3);
    assertThat(options(Map.of("CUDA_VISIBLE_DEVICES", ""), "--nproc-per-node=auto").ranks())
        .isEqualTo(1);
  }

  @ParameterizedTest
  @CsvSource({
    "--nproc-per-node=0, must be at least 1",
    "--nproc-per-node=many, is neither a number nor auto",
    "--nnodes=0, must be at least 1",
    "--node-rank=1, must be from 0 to 0",
    "--master-port=65535, must be from 1 to 65534",
    "--master-port=0, leave it away for a free one",
    "--max-restarts=-1, must not be negative",
    "--patience=0, must be at least 1 second",
    "--token-file=/no/such/file, cannot be read",
    "--master-addr=192.0.2.1, the run has no token"
  })
  void aWrongWordIsRefusedWithTheMend(String word, String mend) {
    Assertions.assertThatThrownBy(() -> options(Map.of(), word))
        .isInstanceOf(ConfigException.class)
        .hasMessageContaining(mend);
  }

  @Test
  void aProcessThatIsARankDoesNotLaunchOthers() {
    LaunchOptionsMixin two = parsed("--nproc-per-node=2");
    assertThat(two.asked(Map.of())).isTrue();
    assertThat(two.asked(Map.of("MOEXTEND_RENDEZVOUS", "launcher"))).isFalse();
    assertThat(parsed().asked(Map.of())).isFalse();
    assertThat(parsed("--nnodes=2").asked(Map.of())).isTrue();
  }

  @Test
  void withoutACommandItSaysHow() {
    Ran ran = Ran.moextend("launch", "--nproc-per-node", "2");
    assertThat(ran.code()).isEqualTo(2);
    assertThat(ran.err()).contains("no command to launch; write it after --");
  }

  @Test
  void whatFollowsTheCommandIsTheCommands() throws Exception {
    Path said = folder.resolve("said");
    Ran ran =
        Ran.moextend(
            "launch",
            "--log-dir",
            folder,
            "sh",
            "-c",
            "echo \"$@\" >" + said,
            "x",
            "--debug",
            "--nproc-per-node",
            "9");
    assertThat(ran.code()).as(ran.err()).isZero();
    assertThat(said).content().contains("--nproc-per-node 9");
    ran =
        Ran.moextend(
            "launch",
            "--log-dir",
            folder,
            "--",
            "sh",
            "-c",
            "echo \"$@\" >" + said,
            "x",
            "--debug");
    assertThat(ran.code()).as(ran.err()).isZero();
    assertThat(said).content().isEqualTo("--debug\n");
  }
}
