"""What `affcli encoders NAME` says of an encoder at length: where its network comes from and how it is converted."""

from __future__ import annotations

ONNX = """\
The network is one ONNX file that takes one picture (float or uint8; batch, height and width may be open) and gives one
vector. Settings that its shapes do not tell stand in a JSON file beside it, FILE.onnx.json, under the names below:

  {"size": 224, "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225], "scale": 1, "order": "rgb"}

An option is stronger than that file, the file is stronger than the defaults, and what contradicts the network is
refused. A pixel becomes (pixel / 255 x scale - mean) / std. The whole crop is brought to the size of the input: shrunk
by area, enlarged as --enlarge says. What was used stands in the recipe of the features.
"""

EXPNET = """\
ExpNet (github.com/fengju514/Expression-Net, no licence stated) is published as a checkpoint of TensorFlow 1. To convert
it once, with TensorFlow 2 in an environment of its own:

  git clone https://github.com/fengju514/Expression-Net && cd Expression-Net
  # beside the code, from the links in its README: the folders Expression_Model and Shape_Model
  sed -i 's#c_i / group#c_i // group#' kaffe/tensorflow/network_expr.py
  python3 -m venv tf && tf/bin/pip install 'tensorflow>=2.16,<3' 'tf2onnx>=1.17,<2'
  tf/bin/python - <<'END'
  import builtins, sys
  import numpy as np
  import tensorflow
  import tensorflow.compat.v1 as tf
  import tf2onnx
  builtins.basestring = str  # the code is Python 2, for TensorFlow 1
  sys.modules["tensorflow"] = tf
  sys.path += ["ResNet", "kaffe/tensorflow"]
  from ThreeDMM_expr import ResNet_101
  sys.modules["tensorflow"] = tensorflow
  mean = np.load("Shape_Model/3DMM_shape_mean.npy").transpose(1, 2, 0)[None].astype("float32")
  with tf.Graph().as_default() as graph, tf.Session() as session:
      crops = tf.placeholder(tf.float32, [None, 224, 224, 3], name="crops")
      with tf.variable_scope("exprCNN"):
          pool5 = ResNet_101({"input": crops - mean}, trainable=False).layers["pool5"]
      tf.reshape(pool5, [-1, 2048], name="vectors")
      tf.train.Saver().restore(session, "Expression_Model/ini_exprNet_model.ckpt")
      frozen = tf.graph_util.convert_variables_to_constants(session, graph.as_graph_def(), ["vectors"])
  tf2onnx.convert.from_graph_def(
      frozen, input_names=["crops:0"], output_names=["vectors:0"], opset=13, output_path="expnet.onnx")
  END

Then: affcli embed faces/ out/ --encoder expnet:expnet.onnx

The network takes blue, green, red from 0 to 255 at 224 px and subtracts its mean picture itself; the published program
subtracts that of ShapeNet, and so does this. That program gives it the face's box with a quarter of its side added on
each side, not turned upright: of the templates, m3t-128 is nearest (affcli extract-faces --template m3t-128). The
vector is pool5, 2048 numbers, which GRU fusion takes; the 29 coefficients of expression are a last layer after it. All
of this is taken for granted: no setting below needs to be said.
"""

SENET101_FER = """\
M3T (github.com/sailordiary/m3f.pytorch) publishes the vectors of this network for Aff-Wild2, neither its weights nor
its preprocessing. The name stands for whoever has it: a vector must have 512 numbers; size, mean, std, scale and order
are yours to say, by options or in FILE.onnx.json (see affcli encoders onnx).
"""

TCAE = """\
TCAE (github.com/mysee1989/TCAE, no licence stated) is published as code; whoever has trained it exports its encoder:

  torch.onnx.export(model.encoder.eval(), torch.zeros(1, 3, 256, 256), "tcae.onnx", dynamo=False, opset_version=13,
      input_names=["input"], output_names=["pose", "emotion"], dynamic_axes={"input": {0: "batch"}})
  affcli embed faces/ out/ --encoder tcae:tcae.onnx --output emotion

It takes red, green, blue from 0 to 1 at 256 px. M3T's own files have 268 columns: the 256 of the encoder, then 12
scores of action units; a network that gives 268 is cut to the first 256. Of the settings below, only --output may need
to be said.
"""

ARCFACE = """\
Crops must be aligned to the template arcface-112, as extract-faces does where nothing else is asked for.
"""

BACKBONE = """\
NAME@FILE takes the weights from a file of one's own, .safetensors or a checkpoint of torch (read as weights only). Its
last layer may have any number of classes, or be missing. NAME alone takes the published weights from the library's own
cache; with --online the library may fetch them. Nothing is ever computed with random weights. The whole crop is brought
to the size of the input, with the mean and std that the library states for the network.
"""

HF = """\
DIRECTORY holds config.json, preprocessor_config.json and model.safetensors (or pytorch_model.bin) as transformers saves
them: wav2vec2, hubert, wavlm, data2vec-audio, unispeech. A name of the hub works where its network is in the local
cache, or with --online. A step lies at the middle of the sound that it hears (25 ms, every 20 ms, for wav2vec 2.0); a
frame is given the mean over its own period, and hears its chunk with --context seconds on each side of it. In chunks of
20 s a network of the size of wav2vec2-base needs about 1.3 GB; with --chunk 5 less.
"""

AUDIO_ONNX = """\
The network takes one waveform, (1, samples) float32 at full scale 1, of any length, and gives (1, t, d), (1, d, t) or
(1, d) (the latter with --field and --hop). Settings may stand in a JSON file beside it, FILE.onnx.json:

  {"sample_rate": 16000, "normalise": "clip", "output": "hidden", "hop": 320, "field": 400}

An option is stronger than that file. Where hop or field is not said, both are measured with half a minute of
silence.
"""
