"""Challenge submissions of Aff-Wild2 (ABAW): what the organisers' sample asks for, in its words and its order.

Since ABAW5 a submission is one file.  Its first line names the columns, and every other line is of one picture,
`<clip>/<00001>.jpg`, whose number is the frame, counted from 1:

* `image_location,valence,arousal`: two numbers, -1 to 1;
* `image_location,Neutral,Anger,...`: the number of one of the classes named;
* `image_location,AU1,AU2,...`: a zero or a one for each of the action units named;
* `image,valence,arousal,expression,aus`: all of these, sixteen cells, the twelve action units in cells of their own.

Of the last, multi-task form, no sample of the organisers was at hand: it is taken to be that of the label files.  The
rows of a sample end in a comma (ABAW5) or carry values that mean nothing (ABAW6): both are passed over.  ABAW1 to
ABAW3 asked for one file per clip, laid out like the labels: the same lines without the picture.
"""
