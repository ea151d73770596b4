package io.moextend.launch;

import io.moextend.comm.group.Message;
import io.moextend.comm.group.Token;
import java.util.Map;

/**
 * What a rank's process finds in its environment: torchrun's words, and ours.
 *
 * @param masterPort free for what the command itself keeps there
 * @param rendezvousPort ours
 * @param runId the same on all hosts
 */
record RankWords(
    LaunchOptions options, Token token, int masterPort, int rendezvousPort, String runId) {

  /** Adds them, or puts them in place of those that are there. */
  void put(Map<String, String> environment, Message.Start start, int localRank) {
    LaunchOptions.Hosts hosts = options.hosts();
    String rank = Integer.toString(start.firstRank() + localRank);
    String world = Integer.toString(start.world());
    environment.put("RANK", rank);
    environment.put("LOCAL_RANK", Integer.toString(localRank));
    environment.put("WORLD_SIZE", world);
    environment.put("LOCAL_WORLD_SIZE", Integer.toString(options.ranks()));
    environment.put("GROUP_RANK", Integer.toString(hosts.here()));
    environment.put("GROUP_WORLD_SIZE", Integer.toString(hosts.count()));
    environment.put("ROLE_NAME", "default");
    environment.put("ROLE_RANK", rank);
    environment.put("ROLE_WORLD_SIZE", world);
    environment.put("MASTER_ADDR", hosts.masterAddress());
    environment.put("MASTER_PORT", Integer.toString(masterPort));
    environment.put("TORCHELASTIC_RESTART_COUNT", Integer.toString(start.generation()));
    environment.put("TORCHELASTIC_MAX_RESTARTS", Integer.toString(options.maxRestarts()));
    environment.put("TORCHELASTIC_RUN_ID", runId);
    // nothing of ours answers on MASTER_PORT: a command that wants a store there opens its own
    environment.put("TORCHELASTIC_USE_AGENT_STORE", "False");
    environment.putIfAbsent("OMP_NUM_THREADS", "1");
    environment.putIfAbsent("OMP_WAIT_POLICY", "PASSIVE");
    environment.put("MOEXTEND_RENDEZVOUS", "launcher");
    environment.put("MOEXTEND_PORT", Integer.toString(rendezvousPort));
    environment.put("MOEXTEND_TOKEN", token.secret());
    environment.put("MOEXTEND_HOST_ID", "node-" + hosts.here());
    environment.remove("MOEXTEND_BIND");
    if (hosts.bind() != null) {
      environment.put("MOEXTEND_BIND", hosts.bind());
    }
    environment.putAll(options.limits().words());
  }
}
