"""Made-up clips: a bent photograph that talks, with valence and arousal known exactly for every frame.

They stand in for real videos in tests, examples and timings, where labelled footage may not be copied. One
photograph is warped by a handful of displacement fields and given a synthetic voice; smooth random curves
of valence and arousal drive both, so a working pipeline must be able to find the curves again.

The link between curve and picture was chosen here, by hand: a smile is pleasant because this package says
so. A score on such a clip shows that the steps fit together. **It says nothing about how well real affect
is recognised**, and must never be reported as if it did.

`clip.synthesise(ClipPlan(...))` makes one clip; `affcli.media.write.write_video` writes it to a file.
"""
