package io.moextend.model;

import io.moextend.adapter.Adapters;
import io.moextend.autograd.Parameter.Role;
import io.moextend.config.DecoderConfig;
import io.moextend.config.DecoderType.Eyes;
import io.moextend.config.FeedForwardConfig;
import io.moextend.config.T5Config;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** What a tensor of a published checkpoint is for, told from its name, without loading it. */
public final class ParameterRoles {
  private static final Pattern EXPERT =
      Pattern.compile("\\.block_sparse_moe\\.experts\\.(\\d{1,6})\\.");

  private static final Pattern MIXED_EXPERT =
      Pattern.compile("\\.mlp\\.((vis_|lan_)?experts\\.\\d{1,6}|(vision|language)_expert)\\.");

  private ParameterRoles() {}

  /**
   * @param config of the model the tensor belongs to: which experts were added
   */
  public static Role of(String name, DecoderConfig config) {
    if (Adapters.isTensor(name)) {
      return Role.ADAPTER;
    }
    Eyes eyes = config.type().eyes();
    if (name.startsWith(eyes.tower() + ".")) {
      return Role.VISION_TOWER;
    }
    if (name.startsWith(eyes.projector() + ".")) {
      return Role.PROJECTOR;
    }
    if (name.endsWith(".block_sparse_moe.gate.weight")) {
      return Role.ROUTER;
    }
    if (name.endsWith(".block_sparse_moe.gate_vision.weight")) {
      return Role.NEW_ROUTER;
    }
    if (name.contains(".block_sparse_moe.weight_scale.")) {
      return Role.CALIBRATION;
    }
    if (DecoderNames.inLayer(name) && name.contains(".mlp.")) {
      return ofFeedForward(name);
    }
    Matcher expert = EXPERT.matcher(name);
    boolean added =
        expert.find()
            && config.feedForward() instanceof FeedForwardConfig.Experts experts
            && Integer.parseInt(expert.group(1)) >= experts.count();
    return added ? Role.NEW_EXPERT : Role.BACKBONE;
  }

  /** Of a T5: its networks, and all else. Adapters' tensors are not in its checkpoint. */
  public static Role of(String name, T5Config config) {
    return name.contains(".DenseReluDense.") ? Role.FEED_FORWARD : Role.BACKBONE;
  }

  /** Of Llama's and Phi-3's networks, and of those that became experts. */
  private static Role ofFeedForward(String name) {
    if (name.endsWith(".mlp.gate.weight")) {
      return Role.ROUTER;
    }
    if (name.endsWith(".mlp.gate_vis.weight")) {
      return Role.VISION_ROUTER;
    }
    return MIXED_EXPERT.matcher(name).find() ? Role.EXPERT : Role.FEED_FORWARD;
  }
}
