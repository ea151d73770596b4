package io.moextend.comm.group;

import io.moextend.config.ConfigException;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/** The words srun sets for each of several tasks; a batch script alone has them only in part. */
final class SlurmWords {
  private static final int FIRST_PORT = 15_000;
  private static final int PORTS = 15_000;
  private static final Pattern COUNT = Pattern.compile("(\\d+)(?:\\(x(\\d+)\\))?");

  private SlurmWords() {}

  /** Whether srun started this process as one of several. */
  static boolean present(Words words) {
    boolean step = words.has("SLURM_STEP_ID") || words.has("SLURM_STEP_NUM_TASKS");
    return step && words.has("SLURM_PROCID") && tasks(words) > 1;
  }

  private static int tasks(Words words) {
    return words.number("SLURM_STEP_NUM_TASKS", words.number("SLURM_NTASKS", 1));
  }

  static RankEnvironment read(Words words) {
    String mend = "SLURM_PROCID is, so srun started this process; it sets this too";
    int rank = words.number("SLURM_PROCID", mend);
    int node = words.number("SLURM_NODEID", mend);
    var place =
        new TorchWords.Place(
            rank,
            words.number("SLURM_LOCALID", mend),
            tasks(words),
            tasksOfNode(words, node),
            node);
    int step = words.number("SLURM_STEP_ID", 0);
    int job = words.number("SLURM_JOB_ID", mend);
    boolean given = words.has("MASTER_PORT") || words.has("MOEXTEND_PORT");
    int port = given ? TorchWords.port(words) : FIRST_PORT + (job * 7 + step & 0x7fffffff) % PORTS;
    return TorchWords.environment(
        words,
        place,
        master(words),
        port,
        words.number("SLURM_RESTART_COUNT", 0),
        "slurm-%d-%d".formatted(job, step));
  }

  /** MASTER_ADDR, loopback for one host, else the step's first host: task 0 runs there. */
  private static String master(Words words) {
    String given = words.text("MASTER_ADDR");
    if (given != null) {
      return given;
    }
    if (words.number("SLURM_STEP_NUM_NODES", words.number("SLURM_NNODES", 0)) == 1) {
      return "127.0.0.1";
    }
    String hosts = words.text("SLURM_STEP_NODELIST");
    if (hosts == null) {
      hosts = words.text("SLURM_JOB_NODELIST");
    }
    if (hosts != null) {
      return firstHost(hosts);
    }
    return words.required(
        "SLURM_LAUNCH_NODE_IPADDR", "nor is SLURM_JOB_NODELIST; set MASTER_ADDR to the first host");
  }

  /** As "node[07-09,12],other" is node07. */
  static String firstHost(String list) {
    int bracket = list.indexOf('[');
    int comma = list.indexOf(',');
    if (bracket < 0 || comma >= 0 && comma < bracket) {
      return comma < 0 ? list : list.substring(0, comma);
    }
    int close = list.indexOf(']', bracket);
    if (close < 0) {
      throw new ConfigException("SLURM_JOB_NODELIST", list, "has a [ without its ]");
    }
    String first = list.substring(bracket + 1, close).split("[,-]", 2)[0];
    int end = list.indexOf(',', close);
    return list.substring(0, bracket)
        + first
        + list.substring(close + 1, end < 0 ? list.length() : end);
  }

  /** As "4(x2),3" is 4, 4, 3. */
  private static int tasksOfNode(Words words, int node) {
    @Nullable String counts = words.text("SLURM_STEP_TASKS_PER_NODE");
    if (counts == null) {
      counts = words.text("SLURM_TASKS_PER_NODE");
    }
    if (counts == null) {
      return words.number(
          "SLURM_NTASKS_PER_NODE", "nor is SLURM_TASKS_PER_NODE; give srun --ntasks-per-node");
    }
    int passed = 0;
    for (String part : counts.split(",")) {
      Matcher count = COUNT.matcher(part);
      if (!count.matches()) {
        throw new ConfigException("SLURM_TASKS_PER_NODE", counts, "is not like 4(x2),3");
      }
      passed += count.group(2) == null ? 1 : Integer.parseInt(count.group(2));
      if (node < passed) {
        return Integer.parseInt(count.group(1));
      }
    }
    throw new ConfigException(
        "SLURM_TASKS_PER_NODE", counts, "has no entry for SLURM_NODEID=" + node);
  }
}
