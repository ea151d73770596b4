package io.moextend.comm.group;

import io.moextend.config.ConfigException;
import java.net.InetSocketAddress;
import org.jspecify.annotations.Nullable;

/** RANK, WORLD_SIZE, MASTER_ADDR and the like: torchrun's, our launcher's, or a shell loop's. */
final class TorchWords {
  static final String MASTER_PORT = "29500";

  private TorchWords() {}

  static RankEnvironment read(Words words) {
    String mend =
        "RANK is, so this process is one of several; each needs RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT";
    int rank = words.number("RANK", mend);
    int world = words.number("WORLD_SIZE", mend);
    String master = words.required("MASTER_ADDR", mend);
    int localRank = rank;
    int localWorld = world;
    if (words.has("LOCAL_RANK") || words.has("LOCAL_WORLD_SIZE") || !isOneHost(world, master)) {
      String local =
          "ranks of several hosts, and those with either, need LOCAL_RANK and LOCAL_WORLD_SIZE";
      localRank = words.number("LOCAL_RANK", local);
      localWorld = words.number("LOCAL_WORLD_SIZE", local);
    }
    return environment(
        words,
        new Place(
            rank,
            localRank,
            world,
            localWorld,
            words.number("GROUP_RANK", rank / Math.max(1, localWorld))),
        master,
        port(words),
        words.number("TORCHELASTIC_RESTART_COUNT", 0),
        words.text("TORCHELASTIC_RUN_ID", "none"));
  }

  private static boolean isOneHost(int world, String master) {
    return world == 1 || RankEnvironment.isLoopback(master);
  }

  /** A pod of an Indexed Job, each a host of one rank. */
  static RankEnvironment ofIndexedJob(Words words) {
    String mend = "JOB_COMPLETION_INDEX and WORLD_SIZE are; the Job's manifest has to set it";
    int rank = words.number("JOB_COMPLETION_INDEX", mend);
    int world = words.number("WORLD_SIZE", mend);
    return environment(
        words,
        new Place(rank, 0, world, 1, rank),
        words.required("MASTER_ADDR", mend),
        port(words),
        words.number("MOEXTEND_GENERATION", 0),
        words.text("MOEXTEND_RUN_ID", "none"));
  }

  /** Where a rank stands. */
  record Place(int rank, int localRank, int world, int localWorld, int node) {}

  static RankEnvironment environment(
      Words words, Place place, String master, int port, int generation, String runId) {
    @Nullable String bind = words.text("MOEXTEND_BIND");
    String rendezvous = words.text("MOEXTEND_RENDEZVOUS", "rank0");
    if (!rendezvous.equals("rank0") && !rendezvous.equals("launcher")) {
      throw new ConfigException(
          "MOEXTEND_RENDEZVOUS", rendezvous, "known are rank0 and launcher (who holds it)");
    }
    return new RankEnvironment(
        place.rank,
        place.localRank,
        place.world,
        place.localWorld,
        place.node,
        InetSocketAddress.createUnresolved(master, port),
        RankEnvironment.token(words.environment(), master, bind),
        generation,
        runId,
        bind,
        rendezvous.equals("launcher"),
        words.text("MOEXTEND_HOST_ID", HostId.here()));
  }

  /**
   * MOEXTEND_PORT where it is set. Else MASTER_PORT, or the one above it where torchrun keeps a
   * store of its own there.
   */
  static int port(Words words) {
    String ours = words.text("MOEXTEND_PORT");
    if (ours != null) {
      return checked("MOEXTEND_PORT", words.number("MOEXTEND_PORT", ""));
    }
    String text = words.text("MASTER_PORT", MASTER_PORT);
    int port = checked("MASTER_PORT", words.number("MASTER_PORT", Integer.parseInt(MASTER_PORT)));
    boolean taken = words.text("TORCHELASTIC_USE_AGENT_STORE", "").equalsIgnoreCase("true");
    if (taken && port == 65535) {
      throw new ConfigException(
          "MASTER_PORT", text, "the port above it is needed; take a lower one");
    }
    return taken ? port + 1 : port;
  }

  private static int checked(String name, int port) {
    if (port < 1 || port > 65535) {
      throw new ConfigException(name, port, "must be from 1 to 65535");
    }
    return port;
  }
}
