package io.moextend.comm.group;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.moextend.config.ConfigException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Which rank a process is, by the words of whoever started it. */
class RankEnvironmentTest {
  private static final Map<String, String> TORCHRUN =
      Map.of(
          "RANK", "5",
          "LOCAL_RANK", "1",
          "WORLD_SIZE", "8",
          "LOCAL_WORLD_SIZE", "4",
          "GROUP_RANK", "1",
          "MASTER_ADDR", "127.0.0.1",
          "MASTER_PORT", "29600",
          "TORCHELASTIC_RESTART_COUNT", "2",
          "TORCHELASTIC_RUN_ID", "run-7",
          "TORCHELASTIC_USE_AGENT_STORE", "True");

  private static final Map<String, String> SLURM =
      Map.of(
          "SLURM_PROCID", "5",
          "SLURM_LOCALID", "1",
          "SLURM_STEP_ID", "0",
          "SLURM_STEP_NUM_TASKS", "7",
          "SLURM_NODEID", "1",
          "SLURM_TASKS_PER_NODE", "4,3",
          "SLURM_NNODES", "2",
          "SLURM_JOB_NODELIST", "gpu[07-08],cpu1",
          "SLURM_JOB_ID", "4711",
          "MOEXTEND_TOKEN", "a secret of this run");

  private static Map<String, String> with(Map<String, String> words, String... more) {
    var changed = new HashMap<>(words);
    for (int i = 0; i < more.length; i += 2) {
      if (more[i + 1].isEmpty()) {
        changed.remove(more[i]);
      } else {
        changed.put(more[i], more[i + 1]);
      }
    }
    return changed;
  }

  private static RankEnvironment of(Map<String, String> words, String... more) {
    return RankEnvironment.of(with(words, more)).orElseThrow();
  }

  @Test
  void aProcessStartedByHandIsNoRank() {
    assertThat(RankEnvironment.of(Map.of("HOME", "/root", "WORLD_SIZE", "2"))).isEmpty();
  }

  @Test
  void torchrunsWordsAreUnderstood() {
    RankEnvironment rank = of(TORCHRUN);
    assertThat(rank.rank()).isEqualTo(5);
    assertThat(rank.localRank()).isEqualTo(1);
    assertThat(rank.world()).isEqualTo(8);
    assertThat(rank.localWorld()).isEqualTo(4);
    assertThat(rank.node()).isEqualTo(1);
    assertThat(rank.generation()).isEqualTo(2);
    assertThat(rank.runId()).isEqualTo("run-7");
    assertThat(rank.ofLauncher()).isFalse();
    assertThat(rank.localAddress().isLoopbackAddress()).isTrue();
  }

  @Test
  void besideTorchrunsOwnStoreThePortAboveIsTaken() {
    assertThat(of(TORCHRUN).rendezvous().getPort()).isEqualTo(29601);
    assertThat(of(TORCHRUN, "TORCHELASTIC_USE_AGENT_STORE", "False").rendezvous().getPort())
        .isEqualTo(29600);
    assertThat(of(TORCHRUN, "MOEXTEND_PORT", "30000").rendezvous().getPort()).isEqualTo(30000);
  }

  @Test
  void aShellLoopNeedsFourWords() {
    RankEnvironment rank =
        of(
            Map.of(
                "RANK", "1", "WORLD_SIZE", "2", "MASTER_ADDR", "127.0.0.1", "MASTER_PORT", "4000"));
    assertThat(rank.localRank()).isEqualTo(1);
    assertThat(rank.localWorld()).isEqualTo(2);
    assertThat(rank.rendezvous().getPort()).isEqualTo(4000);
  }

  @ParameterizedTest
  @CsvSource({
    "WORLD_SIZE, '', WORLD_SIZE is not set",
    "MASTER_ADDR, '', MASTER_ADDR is not set",
    "RANK, x, RANK=x: is no whole number",
    "RANK, -1, RANK=-1: must not be negative",
    "RANK, 8, RANK=8: must be less than WORLD_SIZE=8",
    "LOCAL_RANK, 4, LOCAL_RANK=4: must be less than LOCAL_WORLD_SIZE=4",
    "LOCAL_RANK, '', LOCAL_RANK is not set",
    "LOCAL_WORLD_SIZE, 9, LOCAL_WORLD_SIZE=9: must be from 1 to WORLD_SIZE=8",
    "MASTER_PORT, 70000, MASTER_PORT=70000: must be from 1 to 65535",
    "MASTER_PORT, 65535, MASTER_PORT=65535: the port above it is needed",
    "MOEXTEND_RENDEZVOUS, rank1, MOEXTEND_RENDEZVOUS=rank1: known are rank0 and launcher",
    "MOEXTEND_TOKEN, short, MOEXTEND_TOKEN holds 5 characters"
  })
  void aWrongWordIsNamed(String name, String value, String message) {
    Map<String, String> words = with(TORCHRUN, name, value);
    assertThatThrownBy(() -> RankEnvironment.of(words))
        .isInstanceOf(ConfigException.class)
        .hasMessageContaining(message);
  }

  @Test
  void slurmsWordsAreUnderstood() {
    RankEnvironment rank = of(SLURM);
    assertThat(rank.rank()).isEqualTo(5);
    assertThat(rank.localRank()).isEqualTo(1);
    assertThat(rank.world()).isEqualTo(7);
    assertThat(rank.localWorld()).isEqualTo(3);
    assertThat(rank.node()).isEqualTo(1);
    assertThat(rank.rendezvous().getHostString()).isEqualTo("gpu07");
    assertThat(rank.rendezvous().getPort()).isBetween(15000, 29999);
    assertThat(rank.runId()).isEqualTo("slurm-4711-0");
  }

  @Test
  void anotherJobOfTheSameHostsHasAnotherPort() {
    assertThat(of(SLURM, "SLURM_JOB_ID", "4712").rendezvous().getPort())
        .isNotEqualTo(of(SLURM).rendezvous().getPort());
  }

  @Test
  void slurmOnOneHostStaysOnLoopbackAndNeedsNoToken() {
    RankEnvironment rank =
        of(
            SLURM,
            "SLURM_NNODES",
            "1",
            "SLURM_TASKS_PER_NODE",
            "7",
            "SLURM_NODEID",
            "0",
            "MOEXTEND_TOKEN",
            "");
    assertThat(rank.rendezvous().getHostString()).isEqualTo("127.0.0.1");
  }

  @Test
  void aBatchScriptAndASingleTaskAreNoRanks() {
    assertThat(
            RankEnvironment.of(
                with(SLURM, "SLURM_STEP_ID", "", "SLURM_STEP_NUM_TASKS", "", "SLURM_NTASKS", "7")))
        .isEmpty();
    assertThat(RankEnvironment.of(with(SLURM, "SLURM_STEP_NUM_TASKS", "1"))).isEmpty();
  }

  @Test
  void theLaunchersWordsCountBeforeSlurms() {
    var both = new HashMap<>(SLURM);
    both.putAll(TORCHRUN);
    assertThat(RankEnvironment.of(both).orElseThrow().world()).isEqualTo(8);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "a1 | a1",
        "a1,a2 | a1",
        "gpu[07-08],cpu1 | gpu07",
        "gpu[3,5] | gpu3",
        "r[1-2]-ib,x | r1-ib",
        "login,gpu[1-2] | login"
      })
  void theFirstHostOfSlurmsListIsFound(String list, String first) {
    assertThat(SlurmWords.firstHost(list)).isEqualTo(first);
  }

  @Test
  void aPodOfAnIndexedJobIsARank() {
    RankEnvironment rank =
        of(
            Map.of(
                "JOB_COMPLETION_INDEX", "2",
                "WORLD_SIZE", "4",
                "MASTER_ADDR", "moextend-0.moextend",
                "MOEXTEND_TOKEN", "a secret of this run"));
    assertThat(rank.rank()).isEqualTo(2);
    assertThat(rank.localWorld()).isEqualTo(1);
    assertThat(rank.node()).isEqualTo(2);
    assertThat(rank.rendezvous().getPort()).isEqualTo(29500);
  }

  @ParameterizedTest
  @ValueSource(strings = {"192.0.2.1", "0.0.0.0", "a-host-nobody-knows.invalid"})
  void beyondLoopbackATokenIsRequired(String address) {
    for (String word : new String[] {"MASTER_ADDR", "MOEXTEND_BIND"}) {
      Map<String, String> words = with(TORCHRUN, word, address);
      assertThatThrownBy(() -> RankEnvironment.of(words))
          .isInstanceOf(ConfigException.class)
          .hasMessageContaining(address + " is not loopback and the run has no token")
          .hasMessageContaining("Set MOEXTEND_TOKEN");
      assertThat(of(words, "MOEXTEND_TOKEN", "a secret of this run").world()).isEqualTo(8);
    }
  }

  @Test
  void aTokenIsReadFromAFileAndNeverShown(@TempDir Path folder) throws Exception {
    Path file = Files.writeString(folder.resolve("token"), "a secret of this run\n");
    RankEnvironment rank =
        of(TORCHRUN, "MASTER_ADDR", "192.0.2.1", "MOEXTEND_TOKEN_FILE", file.toString());
    assertThat(rank.token()).isEqualTo(Token.of("here", "a secret of this run"));
    assertThat(rank.toString()).doesNotContain("secret");
  }

  @Test
  void whoSharesMemoryIsToldByTheHostUnlessTheWordSays() {
    assertThat(of(TORCHRUN).host()).isEqualTo(HostId.here()).contains("mnt:");
    assertThat(of(TORCHRUN, "MOEXTEND_HOST_ID", "node-3").host()).isEqualTo("node-3");
  }

  @Test
  void limitsSurviveTheWayThroughAnEnvironment() {
    GroupLimits limits =
        new GroupLimits(
            java.time.Duration.ofMillis(1500),
            java.time.Duration.ofSeconds(7),
            java.time.Duration.ofSeconds(90));
    assertThat(GroupLimits.of(limits.words())).isEqualTo(limits);
    assertThat(GroupLimits.of(Map.of())).isEqualTo(GroupLimits.usual());
  }
}
