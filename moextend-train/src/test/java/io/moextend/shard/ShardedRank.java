package io.moextend.shard;

import com.google.errorprone.annotations.MustBeClosed;
import io.moextend.backend.Backend;
import io.moextend.comm.Collective;
import io.moextend.comm.device.Conversation;
import io.moextend.comm.device.HostWire;
import io.moextend.optim.UpdateRule;

/** One rank, made as a command makes it, around a {@link UnitTask}. */
final class ShardedRank implements AutoCloseable {
  final Backend backend;
  final UnitTask task;
  final Conversation conversation;
  final ParameterLayout layout;
  final ShardedOptimizer optimizer;
  private final Collective collective;

  @MustBeClosed
  @SuppressWarnings("MustBeClosedChecker") // closed by close()
  ShardedRank(Setup setup, Collective collective, UpdateRule rule) {
    this.collective = collective;
    backend = setup.open();
    task = new UnitTask(backend, setup.compute());
    conversation = new Conversation(new HostWire(backend, collective));
    layout = ParameterLayout.of(task.units, setup.world(), setup.bucketBytes());
    optimizer = new ShardedOptimizer(backend, conversation, layout, rule, setup.settings());
  }

  @Override
  public void close() {
    optimizer.close();
    conversation.close();
    task.close();
    backend.close();
    collective.close();
  }
}
