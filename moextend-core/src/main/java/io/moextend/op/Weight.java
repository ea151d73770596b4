package io.moextend.op;

import com.google.errorprone.annotations.MustBeClosed;
import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.autograd.Parameter;
import io.moextend.backend.Backend;
import io.moextend.backend.Matrix;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The matrix of a linear layer: one parameter, or several stacked by rows (q, k, v; gate and up;
 * old and new gate), with an optional bias for each. Keeps the backend's packed form and renews it
 * after an update. Not thread-safe.
 */
public final class Weight implements AutoCloseable {
  private final Backend backend;
  private final List<Parameter> parts;
  private final List<Parameter> biases;
  private final boolean byLastAxis;
  private final Arena arena;
  private final List<Weight> each = new ArrayList<>();
  private @Nullable Matrix matrix;
  private @Nullable Array bias;
  private boolean frozen;
  private long matrixVersion = -1;
  private long biasVersion = -1;

  /**
   * @param parts [out_i, in], or more axes whose product is in
   * @param biases empty, or [out_i] for each part
   */
  public Weight(Backend backend, List<Parameter> parts, List<Parameter> biases) {
    this(backend, parts, biases, false);
  }

  @SuppressWarnings("MustBeClosedChecker") // closed by close()
  private Weight(
      Backend backend, List<Parameter> parts, List<Parameter> biases, boolean byLastAxis) {
    this.backend = backend;
    this.byLastAxis = byLastAxis;
    this.parts = List.copyOf(parts);
    this.biases = List.copyOf(biases);
    this.arena = backend.arena("bias");
    if (!biases.isEmpty() && biases.size() != parts.size()) {
      throw new IllegalArgumentException(parts.size() + " parts with " + biases.size() + " biases");
    }
  }

  public static Weight of(Backend backend, Parameter... parts) {
    return new Weight(backend, List.of(parts), List.of());
  }

  /**
   * One of matrices that are one below the other in one parameter.
   *
   * @param parts [..., in]; all axes but the last together are out
   */
  public static Weight stacked(Backend backend, Parameter parts) {
    return new Weight(backend, List.of(parts), List.of(), true);
  }

  public List<Parameter> parts() {
    return parts;
  }

  public List<Parameter> biases() {
    return biases;
  }

  /** Each part by itself, for products that need not be put apart again. Closed with this. */
  public List<Weight> each() {
    if (parts.size() == 1) {
      return List.of(this);
    }
    if (each.isEmpty()) {
      for (int i = 0; i < parts.size(); i++) {
        List<Parameter> own = biases.isEmpty() ? List.of() : List.of(biases.get(i));
        each.add(new Weight(backend, List.of(parts.get(i)), own, byLastAxis));
      }
    }
    return List.copyOf(each);
  }

  public boolean trains() {
    return parts.stream().anyMatch(Parameter::requiresGrad);
  }

  /** The packed form, up to date with the parameters. */
  @SuppressWarnings("MustBeClosedChecker") // kept, and closed by close() or when the parts thaw
  Matrix matrix() {
    long version = version(parts);
    Matrix current = matrix;
    if (current != null && frozen && trains()) {
      current.close();
      current = null;
    }
    if (current == null) {
      frozen = !trains() && parts.stream().noneMatch(Parameter::isPassing);
      current = made();
    } else if (version != matrixVersion) {
      current.refresh();
    }
    matrix = current;
    matrixVersion = version;
    return current;
  }

  @MustBeClosed
  private Matrix made() {
    List<Array> arrays = parts.stream().map(this::flat).toList();
    return backend.matrix(arrays, frozen);
  }

  /** The joined bias [out], or null. */
  @Nullable Array bias() {
    if (biases.isEmpty()) {
      return null;
    }
    if (biases.size() == 1) {
      return biases.getFirst().data();
    }
    Array joined = bias;
    if (joined == null) {
      long out = biases.stream().mapToLong(b -> b.data().size()).sum();
      joined = arena.allocate(biases.getFirst().data().dtype(), out);
      bias = joined;
    }
    long version = version(biases);
    if (version != biasVersion) {
      long from = 0;
      for (Parameter b : biases) {
        backend.copyInto(joined.slice(from, from + b.data().size()), b.data());
        from += b.data().size();
      }
      biasVersion = version;
    }
    return joined;
  }

  private Array flat(Parameter part) {
    Array data = part.data();
    long rows = rows(part);
    return data.rank() == 2 ? data : data.reshape(rows, data.size() / rows);
  }

  /** How many columns of a product are a part's. */
  long rows(Parameter part) {
    long[] shape = part.shape();
    return byLastAxis ? part.size() / shape[shape.length - 1] : shape[0];
  }

  private static long version(List<Parameter> parameters) {
    return parameters.stream().mapToLong(Parameter::version).sum();
  }

  /** Gives back the packed form; it is made again when used next. */
  public void evict() {
    each.forEach(Weight::evict);
    if (matrix != null) {
      matrix.close();
      matrix = null;
    }
  }

  @Override
  public void close() {
    evict();
    each.forEach(Weight::close);
    arena.close();
  }
}
