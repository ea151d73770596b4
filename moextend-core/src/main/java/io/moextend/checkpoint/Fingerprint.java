package io.moextend.checkpoint;

import com.fasterxml.jackson.annotation.JsonCreator;
import com.fasterxml.jackson.annotation.JsonValue;

/**
 * Which weights these are: SHA-256 over the sorted names, types, shapes and the SHA-256 of each
 * tensor's bytes. How a checkpoint is cut into shards, and its metadata, do not matter.
 *
 * @param hex 64 lower-case digits
 */
public record Fingerprint(@JsonValue String hex) {
  @JsonCreator(mode = JsonCreator.Mode.DELEGATING)
  public Fingerprint {
    if (!hex.matches("[0-9a-f]{64}")) {
      throw new CheckpointException(
          "\"%s\" is no fingerprint: 64 hexadecimal digits are wanted"
              .formatted(CheckpointException.shown(hex)));
    }
  }

  /** Reads every byte of the source once. */
  public static Fingerprint of(WeightSource source) {
    return of(FrozenProof.of(source));
  }

  /** Of tensors whose bytes have been read already. */
  public static Fingerprint of(FrozenProof proof) {
    var sha = Sha256.fresh();
    proof
        .tensors()
        .forEach(
            (name, print) -> {
              Sha256.addText(sha, name);
              Sha256.addText(sha, print.dtype().name());
              Sha256.addText(sha, print.shape().toString());
              Sha256.addText(sha, print.sha256());
            });
    return new Fingerprint(Sha256.hex(sha));
  }

  @Override
  public String toString() {
    return hex;
  }
}
