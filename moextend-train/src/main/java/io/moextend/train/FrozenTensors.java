package io.moextend.train;

import io.moextend.checkpoint.CheckpointException;
import io.moextend.checkpoint.FrozenProof;
import io.moextend.checkpoint.WeightSource;
import java.nio.file.Path;
import java.util.List;

/**
 * The proof that nothing frozen moved: a SHA-256 of every frozen tensor taken at the start, and
 * again from the same source at each checkpoint.
 */
public final class FrozenTensors implements CheckpointPart {
  private final FrozenProof proof;
  private final WeightSource source;

  /**
   * @param proof taken at the run's start
   */
  public FrozenTensors(FrozenProof proof, WeightSource source) {
    this.proof = proof;
    this.source = source;
  }

  @Override
  public void save(Path folder, Peers peers) {
    if (peers.rank() == 0) {
      requireUnmoved(source);
      proof.write(folder.resolve(FrozenProof.FILE));
    }
  }

  @Override
  public void load(Path folder, Peers peers) {}

  /**
   * @throws CheckpointException naming the first tensor that is not as it was
   */
  public void requireUnmoved(WeightSource other) {
    List<FrozenProof.Difference> moved = proof.verify(other);
    if (!moved.isEmpty()) {
      throw new CheckpointException(
          "%s: %d frozen tensors are not as they were at the start, first %s; the run is not to be trusted"
              .formatted(other.origin(), moved.size(), moved.getFirst()));
    }
  }
}
