package io.moextend.train;

import io.moextend.autograd.Parameter;
import io.moextend.backend.Backend;
import io.moextend.checkpoint.CheckpointException;
import io.moextend.checkpoint.DeltaCheckpoint;
import io.moextend.checkpoint.Fingerprint;
import io.moextend.checkpoint.TensorStream;
import java.nio.file.Path;
import java.util.List;

/**
 * The weights that are not their base's, as a delta to their base: what a later stage or a merge
 * starts from. Each rank writes its share of them; while that happens every rank has them all in
 * full. A resumed run takes its weights from the optimizer's masters, and here only checks the
 * base.
 */
public final class TrainedWeights implements CheckpointPart {
  private final Backend backend;
  private final List<Parameter> own;
  private final Fingerprint base;

  /**
   * @param own those that train, and those that started fresh
   * @param base of the checkpoint the model was read from
   */
  public TrainedWeights(Backend backend, List<Parameter> own, Fingerprint base) {
    this.backend = backend;
    this.own = List.copyOf(own);
    this.base = base;
  }

  @Override
  public void save(Path folder, Peers peers) {
    DeltaCheckpoint.writeShare(folder, peers.rank(), peers.world(), streams());
  }

  @Override
  public void seal(Path folder, Peers peers) {
    DeltaCheckpoint.seal(folder, base, streams(), peers.world());
  }

  private List<TensorStream> streams() {
    return own.stream().map(p -> DeviceTensor.stream(backend, p.name(), p.data())).toList();
  }

  @Override
  public void check(Path folder, Peers peers) {
    Fingerprint saved = DeltaCheckpoint.baseOf(folder);
    if (!saved.equals(base)) {
      throw new CheckpointException(
          "%s was trained from a base with fingerprint %s, model.base has %s; name the base it was trained from"
              .formatted(folder, saved, base));
    }
  }
}
