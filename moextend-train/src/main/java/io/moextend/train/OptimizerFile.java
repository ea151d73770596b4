package io.moextend.train;

import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.backend.Backend;
import io.moextend.checkpoint.CheckpointException;
import io.moextend.checkpoint.Piece;
import io.moextend.checkpoint.PieceFiles;
import io.moextend.checkpoint.PieceSet;
import io.moextend.checkpoint.TensorData;
import io.moextend.checkpoint.TensorStream;
import io.moextend.shard.Optimizer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * An optimizer's masters, state and step counts, bit for bit, in optimizer-0000R-of-0000N
 * .safetensors: each rank writes what it owns. Any number of ranks reads them, sharded in any way.
 */
public final class OptimizerFile implements CheckpointPart {
  private static final String STEM = "optimizer";

  private final Backend backend;
  private final Optimizer optimizer;

  public OptimizerFile(Backend backend, Optimizer optimizer) {
    this.backend = backend;
    this.optimizer = optimizer;
  }

  @Override
  public void save(Path folder, Peers peers) {
    var collected = new Collected(peers.rank() == 0);
    optimizer.save(collected);
    PieceFiles.write(folder, STEM, peers.rank(), peers.world(), collected.tensors);
  }

  @Override
  public void seal(Path folder, Peers peers) {
    PieceFiles.seal(folder, STEM, peers.world());
  }

  private final class Collected implements Optimizer.StateWriter {
    private final boolean numbers;
    private final List<TensorStream> tensors = new ArrayList<>();

    /**
     * @param numbers they are the same on every rank, and one writes them
     */
    Collected(boolean numbers) {
      this.numbers = numbers;
    }

    @Override
    public void piece(String name, long total, long from, Array values) {
      if (values.size() > 0) {
        var piece = new Piece(name, from, from + values.size(), total);
        tensors.add(DeviceTensor.stream(backend, piece.tensor(), values));
      }
    }

    @Override
    public void numbers(String name, long[] values) {
      if (numbers) {
        tensors.add(TensorStream.of(TensorData.of(name, new long[] {values.length}, values)));
      }
    }
  }

  /** Each rank checks its share of the bytes, whoever needs them afterwards. */
  @Override
  public void check(Path folder, Peers peers) {
    try (PieceSet saved = PieceSet.open(folder, STEM)) {
      saved.verify(peers.rank(), peers.world());
    }
  }

  @Override
  public void load(Path folder, Peers peers) {
    try (PieceSet saved = PieceSet.open(folder, STEM)) {
      optimizer.load(new Saved(saved));
    }
  }

  private final class Saved implements Optimizer.StateReader {
    private final PieceSet saved;

    Saved(PieceSet saved) {
      this.saved = saved;
    }

    @Override
    public void piece(String name, long total, long from, Array into) {
      if (into.size() > 0) {
        saved.read(
            new Piece(name, from, from + into.size(), total),
            into.dtype(),
            (at, part) -> backend.copyIn(into.slice(at, at + part.length()), part.bytes()));
      }
    }

    @Override
    public long[] numbers(String name, int count) {
      TensorData tensor = saved.whole(name);
      if (tensor.dtype() != DType.I64 || tensor.length() != count) {
        throw new CheckpointException(
            "%s: tensor %s is %s[%d], this run wants I64[%d]; was it saved by another stage or model?"
                .formatted(saved.origin(), name, tensor.dtype(), tensor.length(), count));
      }
      return tensor.longs();
    }
  }
}
