package io.moextend.train;

import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.backend.Backend;
import io.moextend.checkpoint.CheckpointException;
import io.moextend.checkpoint.SafetensorsFile;
import io.moextend.checkpoint.SafetensorsWriter;
import io.moextend.checkpoint.TensorData;
import io.moextend.checkpoint.TensorStream;
import io.moextend.shard.Optimizer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * An optimizer's masters, state and step counts in optimizer.safetensors, bit for bit. For an
 * optimizer that is the same on every rank: rank 0 writes, all read.
 */
public final class OptimizerFile implements CheckpointPart {
  static final String FILE = "optimizer.safetensors";

  private final Backend backend;
  private final Optimizer optimizer;

  public OptimizerFile(Backend backend, Optimizer optimizer) {
    this.backend = backend;
    this.optimizer = optimizer;
  }

  @Override
  public void save(Path folder, Peers peers) {
    if (peers.rank() != 0) {
      return;
    }
    var collected = new Collected();
    optimizer.save(collected);
    SafetensorsWriter.writeFile(folder.resolve(FILE), collected.tensors);
  }

  private final class Collected implements Optimizer.StateWriter {
    private final List<TensorStream> tensors = new ArrayList<>();

    @Override
    public void piece(String name, long total, long from, Array values) {
      tensors.add(DeviceTensor.stream(backend, name, values));
    }

    @Override
    public void numbers(String name, long[] values) {
      tensors.add(TensorStream.of(TensorData.of(name, new long[] {values.length}, values)));
    }
  }

  @Override
  public void load(Path folder, Peers peers) {
    try (var file = SafetensorsFile.open(folder.resolve(FILE))) {
      optimizer.load(new Saved(file));
    }
  }

  private final class Saved implements Optimizer.StateReader {
    private final SafetensorsFile file;

    Saved(SafetensorsFile file) {
      this.file = file;
    }

    @Override
    public void piece(String name, long total, long from, Array into) {
      backend.copyIn(into, find(name, into.dtype(), into.shape()).bytes());
    }

    @Override
    public long[] numbers(String name, int count) {
      return find(name, DType.I64, count).longs();
    }

    private TensorData find(String name, DType dtype, long... shape) {
      TensorData tensor = file.tensor(name);
      if (tensor.dtype() != dtype || !Arrays.equals(tensor.shape(), shape)) {
        throw new CheckpointException(
            "%s: tensor %s is %s%s, this run wants %s%s; was it saved by another stage or model?"
                .formatted(
                    file.origin(),
                    name,
                    tensor.dtype(),
                    Arrays.toString(tensor.shape()),
                    dtype,
                    Arrays.toString(shape)));
      }
      return tensor;
    }
  }
}
